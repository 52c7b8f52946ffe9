"""The base of Trove guests on Fedora: nothing but packages, and the agent."""

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent


def test_it_brings_what_a_guest_needs_and_the_agent():
    assert (HERE / "element-deps").read_text().split() == ["guest-agent"]
    assert set(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == {
        "chrony", "cloud-init", "e2fsprogs", "openssh-server"}
