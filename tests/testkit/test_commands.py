"""Stand-ins for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.testkit.element import ElementUnderTest
from pydib.testkit.fake_root import FakeRoot


@pytest.fixture
def script(fake_root: FakeRoot, tmp_path: Path):
    """Run this text as install.d/10-script of an element."""

    def run(text: str):
        file = tmp_path / "shelf/e/install.d/10-script"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        file.chmod(0o755)
        return ElementUnderTest("e", root=fake_root, shelves=[tmp_path / "shelf"]).run("install.d/10-script")

    return run


def test_commands_are_recorded_with_arguments_directory_and_input(fake_root, script):
    fake_root.like("debian-12")
    run = script("cd /etc\napt-get -y install 'a b' ''\necho root:secret | chpasswd\n"
                 "printf '%s\\n' one two | while read -r x; do systemctl enable $x; done\n")
    assert run.ok, run.output
    assert run.calls[0].args == ("-y", "install", "a b", "")
    assert run.calls[0].cwd == "/etc"
    assert run.calls[1].stdin == "root:secret\n"
    assert run.lines[2:] == ["systemctl enable one", "systemctl enable two"]
    assert run.called("apt-get", "install", "a b")
    assert not run.called("apt-get", "remove")


def test_a_stand_in_does_what_the_last_matching_rule_says(fake_root, commands, script):
    fake_root.like("debian-12")
    commands.on("apt-get").prints("general")
    commands.on("apt-get", "install", "broken").exits(100).complains("no such package")
    commands.on("curl", "-o").does('while [ "$1" != -o ]; do shift; done; echo body > "$2"')
    run = script("apt-get update; curl -s -o /tmp/got x; apt-get install broken || echo code $?\n")
    assert run.output == "general\nno such package\ncode 100\n"
    assert fake_root.read("/tmp/got") == "body\n"


def test_stand_ins_are_found_by_their_full_path_too(fake_root, script):
    fake_root.like("debian-12")
    assert script("/usr/bin/apt-get update; /bin/systemctl stop x; env -i /usr/sbin/losetup -f\n").lines == [
        "apt-get update", "systemctl stop x", "losetup -f"]


def test_each_family_has_its_own_package_tools(fake_root, script):
    fake_root.like("fedora-41")
    run = script("command -v dnf; command -v apt-get || echo none; echo $DISTRO_NAME\n")
    assert run.output == "/usr/bin/dnf\nnone\nfedora\n"


def test_what_the_test_says_about_a_program_outlasts_the_choice_of_a_root(fake_root, commands, script):
    commands.fake("rpm")
    commands.missing("apt-get", "tac")
    fake_root.like("debian-12")
    run = script("rpm -qa; command -v tac || command -v apt-get || echo neither\n")
    assert run.output == "neither\n"
    assert run.lines == ["rpm -qa"]


def test_a_real_program_is_the_hosts(fake_root, commands, script):
    commands.fake("tac")
    commands.real("tac")
    fake_root.like("bare")
    assert script("printf '1\\n2\\n' | tac\n").output == "2\n1\n"


def test_rules_may_be_changed_between_runs(fake_root, commands, tmp_path, script):
    fake_root.like("bare")
    commands.on("ip").exits(1)
    commands.on("ip").prints("fine")
    assert script("ip link\n").output == "fine\n"
