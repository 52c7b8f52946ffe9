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


def test_a_call_tells_environment_words_and_the_line_that_made_it(fake_root, script):
    fake_root.like("debian-12")
    run = script("export DEBIAN_FRONTEND=noninteractive\nhelper() {\n  apt-get install a\n}\nhelper\nfind /etc/fstab "
                 "-exec systemctl enable {} \\;\n")
    install, enable = run.calls
    assert install.argv == ("apt-get", "install", "a")
    assert install.env["DEBIAN_FRONTEND"] == "noninteractive" and "BASH_ENV" not in install.env
    assert (install.at, enable.at) == ("install.d/10-script:3", "install.d/10-script:6")


@pytest.mark.parametrize(("text", "line", "call"), [
    ("true\nfrobnicate --all 'a b' || true\n", 2, "frobnicate --all a b"),
    ("x=$(\n  sort /etc/hosts | dig +short\n) || true\n", 3, "dig +short"),
    ("if ! gpg --list-keys 2>/dev/null; then :; fi\n", 1, "gpg --list-keys"),
])
def test_an_unexpected_program_fails_the_test_with_the_line_of_the_script(fake_root, script, text, line, call):
    fake_root.like("debian-12")
    with pytest.raises(AssertionError) as failed:
        script(text)
    assert f"install.d/10-script:{line} called `{call}`" in str(failed.value)
    assert f"commands.fake('{call.split()[0]}')" in str(failed.value)


def test_an_ordinary_program_of_this_machine_is_not_there_unless_it_is_let_through(fake_root, commands, script):
    fake_root.like("debian-12")
    commands.real("mke2fs")
    assert script("mke2fs -V 2>&1 | head -n 1 | cut -c 1-6; ! command -v debugfs\n").output == "mke2fs\n"


def test_what_is_said_to_be_missing_may_be_called(fake_root, commands, script):
    fake_root.like("debian-12")
    commands.missing("gpg")
    run = script("gpg --list-keys || echo code $?\n")
    assert run.output.endswith("code 127\n")


def test_a_strict_test_wants_a_rule_for_every_call(fake_root, commands, script):
    fake_root.like("debian-12")
    commands.strict()
    commands.on("apt-get", "install")
    with pytest.raises(AssertionError, match=r"10-script:2 called `apt-get update`, for which this strict test has no"):
        script("apt-get install a\napt-get update\n")


def test_a_stand_in_creates_files(fake_root, commands, script):
    fake_root.like("debian-12").write("/etc/redis/kept.conf", "mine\n")
    commands.on("apt-get", "install").creates("/etc/redis/redis.conf", "/etc/redis/kept.conf", text="port 6379\n")
    run = script("apt-get install redis; sed -i s/6379/6380/ /etc/redis/redis.conf\n")
    assert run.ok, run.output
    assert fake_root.read("/etc/redis/redis.conf") == "port 6380\n"
    assert fake_root.read("/etc/redis/kept.conf") == "mine\n"


def test_input_is_recorded_where_a_test_asks_for_it(fake_root, commands, script):
    fake_root.like("debian-12")
    commands.fake("mysql")
    commands.reads_stdin("mysql")
    assert script("mysql <<<'select 1'\n").calls[0].stdin == "select 1\n"


def test_who_writes_to_a_stand_in_is_not_killed(fake_root, script):
    fake_root.like("debian-12").commands.fake("reader")
    run = script("set -o pipefail\nfor i in {1..40}; do echo secret | reader $i; done\nset +o pipefail\nyes | reader\n"
                 "printf '%s\\n' a b | while read -r x; do reader $x; done\n")
    assert run.ok, run.output
    assert run.lines[-3:] == ["reader", "reader a", "reader b"] and len(run.calls) == 43
