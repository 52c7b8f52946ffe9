"""Values of the kernel."""

import pytest

FORWARD = "/etc/sysctl.d/net.ipv4.ip_forward.conf"


@pytest.fixture
def set_value(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("sysctl")

    def run(*words, tool="sysctl-set-value"):
        return under_test.run_with(f"bin/{tool}", *words, side="target")

    return run


@pytest.mark.parametrize("tool", ["sysctl-set-value", "sysctl-write-value"])
def test_a_value_counts_from_boot_on(set_value, fake_root, tool):
    assert set_value("net.ipv4.ip_forward", "1", "two\nlines", tool=tool).ok
    assert fake_root.read(FORWARD) == "# two lines\nnet.ipv4.ip_forward = 1\n"


def test_the_same_again_is_fine_and_another_is_not(set_value, fake_root):
    assert set_value("net.ipv4.ip_forward", "1", "mine").ok
    assert set_value("net.ipv4.ip_forward", "1", "yours").ok
    run = set_value("net.ipv4.ip_forward", "0")
    assert run.exit_code == 1 and "is 1 already (# mine)" in run.output
    assert fake_root.read(FORWARD) == "# mine\nnet.ipv4.ip_forward = 1\n"


@pytest.mark.parametrize("words", [(), ("a",), ("a/../b", "1"), ("-w", "1"), ("a", "1", "c", "d")])
def test_wrong_calls_are_told(set_value, words):
    run = set_value(*words)
    assert run.exit_code == 1 and run.output.startswith("usage:")
