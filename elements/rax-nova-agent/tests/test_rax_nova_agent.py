"""Rackspace's agent: a stand-in for its archive and for the CD with Xen's tools, which are gone."""

import pytest

LISTS = {"versions.deb": "XE_GUEST_UTILITIES_PKG_FILE_amd64='tools_amd64.deb'\n",
         "versions.rpm": 'XE_GUEST_UTILITIES_PKG_FILE_x86_64="tools.rpm"\n'}


@pytest.mark.proves("rax-nova-agent", how="stand-in")
@pytest.mark.parametrize(("distro", "call"), [
    ("ubuntu", ("dpkg", "-i", "tools_amd64.deb")), ("centos7", ("rpm", "-Uvh", "tools.rpm")),
])
def test_tools_of_the_cd(fake_root, element, commands, distro, call):
    fake_root.like("debian-12")
    for name, text in LISTS.items():
        fake_root.write(f"/cd/Linux/{name}", text)
    commands.on("mount", "/tmp/xs-tools.iso").does("cp -r /cd/Linux $4/")
    commands.on("umount").does("rm -r $1/Linux")
    commands.fake("rpm", "dpkg")
    run = element("rax-nova-agent").run("install.d/05-xen-tools", env={"DISTRO_NAME": distro})
    assert run.ok, run.output
    assert any(all(word in line for word in call) for line in run.lines) and run.called("umount")


@pytest.mark.proves("rax-nova-agent", how="stand-in")
def test_the_agent_starts_before_cloud_init(fake_root, element, commands):
    fake_root.like("debian-12")
    fake_root.write("/tmp/nova-agent/installer.sh", "pwd >/etc/installed-from\n")
    commands.fake("update-rc.d", "systemctl")
    run = element("rax-nova-agent").run("install.d/10-nova-agent")
    assert run.ok, run.output
    assert fake_root.read("/etc/installed-from") == "/tmp/nova-agent\n"
    assert "Before=cloud-init-local.service" in fake_root.read("/etc/systemd/system/nova-agent.service")
    assert run.called("systemctl", "enable", "nova-agent.service") and run.called("update-rc.d", "nova-agent")
    assert fake_root.read("/etc/cloud/cloud.cfg.d/80_restart_network.cfg").startswith("runcmd:\n")
