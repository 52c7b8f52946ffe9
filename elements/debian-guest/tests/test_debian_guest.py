"""The base of Trove guests on Debian: nothing but packages, and the agent."""

import subprocess
from pathlib import Path

import yaml

from pydib.trove.datastores import DEFAULT_RELEASE

HERE = Path(__file__).resolve().parent.parent


def test_it_brings_what_a_guest_needs_and_the_agent():
    assert (HERE / "element-deps").read_text().split() == ["guest-agent"]
    assert set(yaml.safe_load((HERE / "package-installs.yaml").read_text())) == {
        "cloud-init", "e2fsprogs", "openssh-server", "systemd-timesyncd"}


def test_the_release_is_the_one_that_was_booted_unless_told_otherwise():
    text = (HERE / "environment.d/09-debian-guest.bash").read_text()
    told = subprocess.run(["bash", "-c", text + "\necho $DIB_RELEASE"], env={}, text=True,
                          capture_output=True, check=True)
    assert told.stdout == "bookworm\n" == f"{DEFAULT_RELEASE['debian']}\n"
    told = subprocess.run(["bash", "-c", text + "\necho $DIB_RELEASE"], env={"DIB_RELEASE": "trixie"}, text=True,
                          capture_output=True, check=True)
    assert told.stdout == "trixie\n"
