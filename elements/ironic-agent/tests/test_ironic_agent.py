"""A whole system as a ramdisk, with Ironic's agent."""

import gzip
import subprocess

import pytest


@pytest.mark.parametrize(("env", "what"), [({}, "ironic-python-agent"), ({"DIB_IRONIC_AGENT": "x==1"}, "x==1")])
def test_the_agent_has_an_environment_of_its_own(fake_root, element, commands, env, what):
    fake_root.like("debian-12")
    commands.on("python3", "venv").does("mkdir -p $3/bin; printf '#!/bin/sh\\necho pip \"$@\"\\n' >$3/bin/pip; "
                                        "chmod +x $3/bin/pip")
    run = element("ironic-agent").run("install.d/60-ironic-agent", env=env)
    assert run.ok and f"pip-version-check {what}\n" in run.output
    assert fake_root.link("/usr/local/bin/ironic-python-agent").startswith("/opt/ironic-python-agent/")


def test_it_starts_and_firewalls_do_not(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("systemctl")
    commands.on("systemctl", "cat", "ip6tables.service").exits(1)
    run = element("ironic-agent").run("post-install.d/80-ironic-agent")
    assert run.ok and run.called("systemctl", "enable", "ironic-python-agent.service")
    assert run.called("systemctl", "disable", "ufw.service") and not run.called("systemctl", "disable", "ip6tables")


def test_the_root_becomes_a_ramdisk(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    for path in ("/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "/tmp/left", "/usr/share/doc/x/copyright",
                 "/opt/agent/a.py", "/opt/agent/__pycache__/a.pyc"):
        fake_root.write(path, path)
    run = element("ironic-agent").run("cleanup.d/99-ramdisk-create", env={"IMAGE_NAME": str(tmp_path / "ipa")})
    assert run.ok, run.output
    assert (tmp_path / "ipa.kernel").read_text() == "/boot/vmlinuz-6.1"
    assert (tmp_path / "ipa.vmlinuz").samefile(tmp_path / "ipa.kernel")
    archive = gzip.decompress((tmp_path / "ipa.initramfs").read_bytes())
    names = set(subprocess.run(["cpio", "--quiet", "-t"], input=archive, capture_output=True,
                               check=True).stdout.decode().split())
    assert {"init", "opt/agent/a.py", "etc/fstab"} <= names and fake_root.link("/init") == "sbin/init"
    assert not names & {"tmp/left", "boot/vmlinuz-6.1", "usr/share/doc/x/copyright", "opt/agent/__pycache__"}
