"""What ramdisks have in common."""

import json

import pytest

ASK = "-n -q -t 10 -T 3 -s /udhcpc-script"


def test_the_library_lies_where_ramdisks_look_for_it(fake_root, element):
    fake_root.like("debian-12")
    assert element("ramdisk-base").run("extra-data.d/01-copy-ramdisk-library").ok
    for name in ("common-functions", "ramdisk-functions", "init", "init-end", "d/init-func"):
        assert fake_root.exists(f"/tmp/ramdisk-build/{name}")


def test_programs_are_noted(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("ramdisk-base")
    (under_test.hooks / "binary-deps.d/ramdisk-base").unlink()
    (under_test.hooks / "binary-deps.d/app").write_text("tar grep\ntar\n")
    assert under_test.run("post-install.d/01-ensure-binaries").ok
    assert fake_root.read("/etc/dib_binary_deps") == "grep\ntar\n"
    (under_test.hooks / "binary-deps.d/other").write_text("no-such-program")
    run = under_test.run("post-install.d/01-ensure-binaries")
    assert run.exit_code == 1 and "no-such-program (other)" in run.output


def test_kernel_and_ramdisk_come_out(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    under_test = element("ramdisk-base")
    env = {"IMAGE_NAME": str(tmp_path / "rd")}
    run = under_test.run("cleanup.d/99-extract-ramdisk", env=env)
    assert run.exit_code == 1 and "no ramdisk was made" in run.output
    fake_root.write("/tmp/kernel", "k")
    fake_root.write("/tmp/ramdisk", "r")
    assert under_test.run("cleanup.d/99-extract-ramdisk", env=env).ok
    assert (tmp_path / "rd.kernel").read_text() == "k" and (tmp_path / "rd.initramfs").read_text() == "r"


@pytest.fixture
def piece(fake_root, element, commands):
    """Run bash code with the functions of /init; the command line and the devices are files of the fake root."""
    fake_root.like("debian-12")
    commands.fake("sleep", "ping", "findfs", "setsid", "mount", "umount", "reboot")
    under_test = element("ramdisk-base")
    script = under_test.hooks / "install.d/50-piece"
    script.parent.mkdir(exist_ok=True)

    def run(code, line="", **env):
        fake_root.write("/fake/cmdline", line + "\n")
        script.write_text('#!/bin/bash\nhere=$(dirname "$0")/..\nKERNEL_PARAMETERS=/fake/cmdline\n'
                          'NET_DEVICES=/fake/net DEVICES=/fake/dev '
                          'VMEDIA_PARAMETERS=/tmp/vmedia-parameters FIRST_ERR_MSG=\n'
                          f'. "$here/ramdisk-init/init-func"\n{code}')
        script.chmod(0o755)
        return under_test.run("install.d/50-piece", env=env)

    return run


VARIABLES = """. "$here/init.d/20-init-variables"
echo "$BOOT_MAC|$BOOT_IP|$BOOT_SERVER|$DISK|$DEPLOYMENT_ID|$ISCSI_TARGET_IQN"
"""


def test_the_command_line_is_read(piece):
    run = piece(VARIABLES, "quiet BOOTIF=01-52-54-00-aa-bb-cc boot_server=10.0.2.2 disk=sda,vda deployment_id=7 "
                           "x=boot_server=no")
    assert run.output == "52:54:00:aa:bb:cc||10.0.2.2|sda,vda|7|\n"


def test_virtual_media_are_read(piece, fake_root, commands):
    """The first one has no parameters."""
    commands.on("findfs").exits(1)
    commands.on("mount", "/fake/dev/sr0").does("mkdir -p /vmedia; echo secret >/vmedia/token; "
                                               "printf 'boot_server=10.1.1.1\\ndisk=vdb\\n' >/vmedia/parameters.txt")
    fake_root.write("/fake/dev/sr0", "")
    assert piece(VARIABLES, "boot_method=vmedia").output.splitlines()[-1] == "||10.1.1.1|vdb||"
    assert fake_root.read("/tmp/vmedia-token") == "secret\n"


def test_without_virtual_media_the_command_line_counts(piece, commands):
    commands.on("mount").exits(32)
    run = piece(VARIABLES, "boot_method=vmedia disk=vda")
    assert "no virtual medium has parameters.txt" in run.output and run.output.endswith("\n|||vda||\n")


def test_interfaces_and_disks_are_found(piece, fake_root):
    fake_root.write("/fake/net/eth1/address", "52:54:00:aa:bb:cc\n")
    fake_root.write("/fake/dev/vdb", "")
    run = piece("find_interface 52:54:00:AA:BB:CC; find_disk /dev/vda,vdb; find_interface x || echo none\n"
                "DISK_TRIES=2; find_disk sdz || echo none\nget_kernel_parameter troubleshoot && echo flag\n",
                "troubleshoot")
    assert run.output.split() == ["eth1", "/fake/dev/vdb", "none", "none", "flag"]


def test_the_boot_server_is_waited_for(piece, commands):
    run = piece('BOOT_SERVER=10.0.2.2\n. "$here/init.d/40-boot-server"\necho "first: $FIRST_ERR_MSG"\n')
    assert run.output == "first: \n" and run.called("ping", "10.0.2.2")
    commands.on("ping").exits(1)
    run = piece('BOOT_SERVER=10.0.2.2\n. "$here/init.d/40-boot-server"\nerr_msg later\necho "first: $FIRST_ERR_MSG"\n')
    assert "first: the boot server 10.0.2.2 does not answer" in run.output


def test_the_beginning_takes_every_library(piece, fake_root):
    fake_root.write("/app-func-2", "app() { echo from the library; }\n")
    assert piece('. "$here/ramdisk-init/init"\napp\n').output == "from the library\n"


@pytest.mark.parametrize(("line", "before", "shell"), [
    ("", "", True), ("", "echo '# from init.d/70-work' >/fake/init", False),
    ("troubleshoot", "echo '# from init.d/70-work' >/fake/init", True), ("troubleshoot", "err_msg wrong", True),
    ("", "err_msg wrong; echo t >/fake/console", True), ("", "err_msg wrong; echo x >/fake/console", False),
])
def test_the_end(piece, fake_root, line, before, shell):
    """A shell for those who ask for it, and when there is no work; then the machine starts again."""
    fake_root.write("/fake/init", "# from init.d/40-boot-server\n")
    fake_root.write("/fake/console", "")
    run = piece(f'INIT_FILE=/fake/init CONSOLE=/fake/console\n{before}\n. "$here/ramdisk-init/init-end"\n', line)
    assert run.called("setsid") is shell and run.called("reboot", "-f")
    assert ("the ramdisk ends after a failure: wrong" in run.output) == ("err_msg" in before)


def test_text_in_json(piece):
    run = piece("json_text $'a \"b\" \\\\c\\td\\n\\001'\n")
    assert json.loads(run.output) == 'a "b" \\c\td\n'


@pytest.fixture
def cards(piece, fake_root, commands):
    commands.fake("ip", "udhcpc")
    fake_root.write("/fake/net/eth0/address", "52:54:00:aa:bb:cc\n")
    fake_root.write("/fake/net/ens4/address", "52:54:00:aa:bb:dd\n")
    return lambda before: piece(f'{before}\n. "$here/init.d/30-network"\n')


@pytest.mark.parametrize(("before", "lines"), [
    ("BOOT_MAC=52:54:00:aa:bb:cc", ["ip link set dev eth0 up", f"udhcpc -i eth0 {ASK}"]),
    ("BOOT_MAC=", ["ip link set dev ens4 up", f"udhcpc -i ens4 {ASK}", "ip link set dev eth0 up",
                   f"udhcpc -i eth0 {ASK}"]),
    ("BOOT_MAC=52:54:00:aa:bb:cc BOOT_IP=10.0.2.9:10.0.2.2:10.0.2.2:255.255.255.0", [
        "ip link set dev eth0 up", "ip addr add 10.0.2.9/255.255.255.0 dev eth0", "ip route add default via 10.0.2.2"]),
])
def test_the_network(cards, before, lines):
    run = cards(before)
    assert run.lines[1:] == lines, run.output


def test_a_card_that_is_not_there_is_told(cards):
    assert "there is no network card 00:00:00:00:00:00" in cards("BOOT_MAC=00:00:00:00:00:00").output


def test_the_address_is_taken(fake_root, element, commands):
    fake_root.like("debian-12")
    target = element("ramdisk-base")
    script = target.hooks / "install.d/50-piece"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/sh\nexport interface=eth0 ip=10.0.2.15 mask=24 router="10.0.2.2 10.0.2.4" dns=10.0.2.3\n'
                      'for event in deconfig bound renew; do\n"$(dirname "$0")/../ramdisk-init/udhcpc-script" $event\n'
                      'done\n')
    script.chmod(0o755)
    (target.hooks / "ramdisk-init/udhcpc-script").chmod(0o755)
    commands.fake("ip")
    run = target.run("install.d/50-piece")
    assert run.ok and "ramdisk: eth0 has address 10.0.2.15" in run.output
    assert run.called("ip", "addr", "add", "10.0.2.15/24") and run.called("ip", "route", "add", "default", "10.0.2.2")
    assert not run.called("ip", "10.0.2.4") and fake_root.read("/etc/resolv.conf") == "nameserver 10.0.2.3\n"


def test_text_in_forms_and_the_own_address(piece, commands):
    commands.on("ip").prints("2: eth0    inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0\\\\       valid")
    commands.fake("nc")
    run = piece('form_text "a+b&c=ü z_~"; echo; own_address; wait_for_call 10000\n')
    assert run.output.splitlines()[:2] == ["a%2Bb%26c%3D%C3%BC%20z_~", "10.0.2.15"]
    assert run.called("nc", "-l", "-p", "10000")
