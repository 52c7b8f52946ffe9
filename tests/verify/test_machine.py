"""What `pydib doctor` looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib.host import sandbox
from pydib.verify import machine
from pydib.verify.kvm import KvmAnswer


@pytest.fixture(autouse=True)
def no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts a virtual machine in here."""
    monkeypatch.setattr(machine, "kvm_answer", lambda environment: KvmAnswer(usable=False, reason="not asked"))


def test_every_finding_says_what_it_is_for_and_what_to_do() -> None:
    findings = machine.examine()
    assert len({finding.name for finding in findings}) == len(findings) > 25
    for finding in findings:
        assert finding.detail
        assert finding.needed_for
        assert finding.ok or finding.remedy


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_tool", lambda name: None)
    by_name = {finding.name: finding for finding in map(machine.tool, machine.TOOLS)}
    assert not any(finding.ok for finding in by_name.values())
    assert by_name["qemu-img"].remedy == "apt-get install qemu-utils"
    assert by_name["qemu-img"].required
    assert by_name["mmdebstrap or debootstrap"].remedy == "apt-get install mmdebstrap"
    assert "apt-get" not in by_name["vhd-util"].remedy


def test_one_of_two_tools_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_tool", lambda name: "/x/debootstrap" if name == "debootstrap" else None)
    wanted = next(entry for entry in machine.TOOLS if "debootstrap" in entry.programs)
    assert (machine.tool(wanted).ok, machine.tool(wanted).detail) == (True, "/x/debootstrap")


def test_filesystems_of_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filesystems").write_text("nodev\toverlay\n\text4\n")
    monkeypatch.setattr(machine, "_can_be_loaded", lambda name: name == "xfs")
    known = tmp_path / "filesystems"
    answers = {name: machine.filesystem(name, needed_for="x", known=known) for name in ("overlay", "xfs", "vfat")}
    assert {name: answer.ok for name, answer in answers.items()} == {"overlay": True, "xfs": True, "vfat": False}
    assert "module" in answers["xfs"].detail


def test_device_mapper_is_the_kernels_word_not_a_device_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_can_be_loaded", lambda name: False)
    (tmp_path / "misc").write_text("236 device-mapper\n200 tun\n")
    assert machine.device_mapper(tmp_path / "misc").ok
    (tmp_path / "misc").write_text("200 tun\n")
    assert not machine.device_mapper(tmp_path / "misc").ok


def test_no_loop_devices(tmp_path: Path) -> None:
    assert machine.loop_devices(tmp_path / "loop-control").detail == "none"


def test_what_keeps_an_ordinary_user_from_building_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = sandbox.Facts(user="me", root=False, settings={"max_user_namespaces": "0"}, uids=1000)
    monkeypatch.setattr(machine.sandbox, "facts", lambda: facts)
    monkeypatch.setattr(machine, "_failure", lambda *argv: "unshare failed: No space left on device")
    finding = machine.namespaces()
    assert (finding.ok, finding.required) == (False, True)
    assert "user.max_user_namespaces is 0; me has 1000 subordinate uids" in finding.detail
    assert finding.remedy == ("as root: sysctl -w user.max_user_namespaces=10000; "
                              "as root: usermod --add-subuids 100000-165535 me")


def test_namespaces_that_work_are_no_finding_whatever_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = sandbox.Facts(user="me", root=False, seccomp=True, settings={"apparmor_restrict_unprivileged_userns": "1"})
    monkeypatch.setattr(machine.sandbox, "facts", lambda: facts)
    monkeypatch.setattr(machine, "_failure", lambda *argv: "")
    assert machine.namespaces().ok


def test_space_of_a_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = machine.space("cache space", tmp_path / "a" / "b", remedy="free some")
    assert str(tmp_path / "a" / "b") in finding.detail
    monkeypatch.setattr(machine, "ENOUGH_SPACE_BYTES", 1 << 60)
    assert not machine.space("cache space", tmp_path, remedy="free some").ok
