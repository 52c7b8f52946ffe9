"""Ready checks, and snapshots."""

from __future__ import annotations

import pytest

from pydib.testkit.checks import is_idempotent, reaches_network, stays_offline, writes_only

pytest_plugins = ["pytester"]


@pytest.fixture
def under_test(fake_root, element, tmp_path):
    """An element whose install.d/10-it has this text."""
    fake_root.like("debian-12")

    def make(text):
        script = tmp_path / "shelf/e/install.d/10-it"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/bash\nset -eu\n{text}\n")
        script.chmod(0o755)
        return element("e", shelves=[tmp_path / "shelf"])

    return make


def test_what_writes_the_same_again_is_idempotent(under_test):
    assert is_idempotent(under_test("echo x >/etc/app.conf; ln -sfn a /etc/link"), "install.d/10-it").ok


@pytest.mark.parametrize(("text", "message"), [
    ("echo x >>/etc/app.conf", "changed more when it ran again:\n~ /etc/app.conf"),
    ("mkdir /etc/app", "failed when it ran again"),
    ("false", "install.d/10-it failed"),
])
def test_what_is_not_idempotent_is_told(under_test, text, message):
    with pytest.raises(AssertionError, match=message):
        is_idempotent(under_test(text), "install.d/10-it")


def test_writing_outside_is_told(under_test):
    it = under_test("mkdir -p /etc/app; echo x >/etc/app/conf; chmod 0700 /root; rm /etc/hosts")
    with pytest.raises(AssertionError, match="touched /etc/app/conf, /etc/hosts, which is outside of /root"):
        writes_only(it, "install.d/10-it", "/root")


def test_writing_inside_is_fine(under_test):
    assert writes_only(under_test("mkdir -p /etc/app; echo x >/etc/app/conf"), "install.d/10-it", "/etc/app/*").ok


def test_the_network_is_left_alone_offline(under_test):
    text = 'if [ -n "${DIB_OFFLINE:-}" ]; then apt-get --no-download install -y x; else curl -O http://a.test/; fi'
    it = under_test(text)
    assert stays_offline(it, "install.d/10-it").called("apt-get", "install")
    assert it.run("install.d/10-it").called("curl")


def test_the_network_offline_is_told_with_the_line(under_test):
    with pytest.raises(AssertionError, match=r"install.d/10-it:3: git clone http://a.test/b"):
        stays_offline(under_test("git clone http://a.test/b"), "install.d/10-it")


@pytest.mark.parametrize(("line", "expected"), [
    ("apt-get update", True), ("apt-get -y remove x", False), ("git -C /x checkout y", False),
    ("git clone file:///x", False), ("pip install --no-index x", False), ("pip install x", True),
    ("dnf -C install x", False), ("dnf install x", True), ("systemctl enable x", False), ("mmdebstrap a b", True),
])
def test_calls_that_reach_the_network(line, expected):
    name, *args = line.split()
    assert reaches_network(name, args) is expected


def test_changes_can_be_compared_with_a_snapshot(pytester):
    script = pytester.path / "elements/app/install.d/10-app"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/bash\necho x >/etc/word\nchmod 0600 /etc/hosts\nrm /etc/hostname\n")
    script.chmod(0o755)
    pytester.makepyfile("""
        def test_it(fake_root, element, snapshot):
            fake_root.like("debian-12")
            assert element("app").run("install.d/10-app").changes == snapshot
    """)
    update = pytester.runpytest("--elements-path=elements", "--snapshot-update")
    update.assert_outcomes(passed=1)
    kept = (pytester.path / "__snapshots__").glob("*.ambr").__next__().read_text()
    assert "/etc/word" in kept and "0o600" not in kept and "/etc/hostname" in kept
    pytester.runpytest("--elements-path=elements").assert_outcomes(passed=1)
    script.write_text("#!/bin/bash\necho other >/etc/word\n")
    pytester.runpytest("--elements-path=elements").assert_outcomes(failed=1)
