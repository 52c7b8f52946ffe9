"""DHCP on every interface that has a link."""

import pytest

SCRIPT = "static/usr/local/sbin/dhcp-all-interfaces.sh"
CARDS = {"lo": ("0", "1"), "eth0": ("0", "1"), "ens4": ("0", "0"), "br0": ("3", "1")}


@pytest.fixture
def boot(fake_root, element, commands):
    """Run the script on a machine with these network cards; gives the calls that change something."""
    commands.fake("ifup", "nmcli", "sleep")
    under_test = element("dhcp-all-interfaces")
    script = under_test.hooks / SCRIPT
    # /sys is empty in a fake root
    script.write_text(script.read_text().replace("/sys/class/net", "/fake/net"))

    def run(root="debian-12", *names, before=()):
        if not fake_root.filled:
            fake_root.like(root)
        for path, text in before:
            fake_root.write(path, text)
        for name, (kind, carrier) in CARDS.items():
            fake_root.write(f"/fake/net/{name}/addr_assign_type", kind)
            fake_root.write(f"/fake/net/{name}/carrier", carrier)
        fake_root.write("/etc/default/dhcp-all-interfaces", "timeout=2\n")
        done = under_test.run_with(SCRIPT, *names, side="target")
        assert done.ok, done.output
        return done

    return run


def test_real_interfaces_with_a_link_get_an_address(boot, fake_root):
    run = boot()
    assert fake_root.read("/etc/network/interfaces").endswith("auto eth0\niface eth0 inet dhcp\n")
    assert [line for line in run.lines if line.startswith("if")] == ["ifup eth0"]
    assert run.called("ip", "link", "set", "dev", "ens4", "up")
    assert [line for line in run.lines if line.startswith("sleep")] == ["sleep 1"] * 2
    assert "ens4 has no link" in run.output and "br0 is no real interface" in run.output


def test_what_is_configured_is_left_alone(boot, fake_root):
    run = boot("debian-12", "eth0", before=[("/etc/network/interfaces.d/mine", "iface eth0 inet static\n")])
    assert not run.called("ifup") and "configured already" in run.output


@pytest.mark.parametrize(("root", "file", "before"), [
    ("rocky-9", "/etc/sysconfig/network-scripts/ifcfg-eth0", [("/etc/sysconfig/network-scripts/x", "")]),
    ("opensuse-leap-15.6", "/etc/sysconfig/network/ifcfg-eth0", []),
])
def test_ifcfg_files(boot, fake_root, root, file, before):
    assert boot(root, "eth0", before=before).called("ifup", "eth0")
    assert "BOOTPROTO=dhcp\n" in fake_root.read(file)
    assert "configured already" in boot(root, "eth0").output


def test_networkmanager(boot, fake_root, commands):
    commands.missing("ifup")
    file = "/etc/NetworkManager/system-connections/eth0.nmconnection"
    assert boot("centos-stream-10", "eth0").called("nmcli", "connection", "load", file)
    assert "interface-name=eth0\n" in fake_root.read(file) and fake_root.mode(file) == 0o600
    assert "configured already" in boot("centos-stream-10", "eth0").output


def test_systemd_starts_it_as_interfaces_appear(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/etc/network/interfaces.d/eth0", "auto eth0\n")
    under_test = element("dhcp-all-interfaces")
    for script in ("20-install-init-scripts", "50-dhcp-all-interfaces", "60-remove-interface-files"):
        run = under_test.run(f"install.d/{script}", env={"DIB_DHCP_TIMEOUT": "5"})
        assert run.ok, run.output
    assert 'SYSTEMD_WANTS}+="dhcp-interface@$name.service"' in fake_root.read(
        "/etc/udev/rules.d/99-dhcp-all-interfaces.rules")
    assert fake_root.exists("/usr/lib/systemd/system/dhcp-interface@.service")
    assert fake_root.read("/etc/default/dhcp-all-interfaces") == "timeout=5\n"
    assert not fake_root.exists("/etc/network/interfaces.d/eth0")
    assert fake_root.read("/etc/network/interfaces").startswith("auto lo\n")


def test_networkmanager_alone(fake_root, element):
    fake_root.like("fedora-41")
    fake_root.write("/usr/local/sbin/dhcp-all-interfaces.sh", "")
    fake_root.mkdir("/etc/NetworkManager")
    env = {"DIB_DHCP_NETWORK_MANAGER_AUTO": "true", "DIB_DHCP_CLIENT": "dhcpcd"}
    assert element("dhcp-all-interfaces").run("install.d/50-dhcp-all-interfaces", env=env).ok
    assert fake_root.read("/etc/NetworkManager/conf.d/00-main.conf") == "[main]\ndhcp=dhcpcd\n"
    assert not fake_root.exists("/usr/local/sbin/dhcp-all-interfaces.sh")


@pytest.mark.parametrize(("missing", "line"), [
    ([], "chkconfig dhcp-all-interfaces on"), (["chkconfig"], "update-rc.d dhcp-all-interfaces defaults")])
def test_other_init_systems(fake_root, element, commands, missing, line):
    commands.missing(*missing)
    fake_root.like("debian-12-sysvinit")
    under_test = element("dhcp-all-interfaces")
    assert under_test.run("install.d/50-dhcp-all-interfaces").lines == [line]
    assert under_test.run("install.d/50-dhcp-all-interfaces", env={"DIB_INIT_SYSTEM": "upstart"}).ok
    run = under_test.run("install.d/50-dhcp-all-interfaces", env={"DIB_INIT_SYSTEM": "openrc"})
    assert run.exit_code == 1 and "no start script for openrc" in run.output
