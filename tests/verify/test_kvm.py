"""Whether KVM is usable: asked once for each start of the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydib.verify import kvm
from pydib.verify.kvm import KvmAnswer, kvm_answer, stock_kernel


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """A machine on which KVM seems to be there, and a kernel for it; gives the kernels that were tried."""
    tried: list[Path] = []

    def probe(kernel: Path) -> KvmAnswer:
        tried.append(kernel)
        return KvmAnswer(usable=True, reason="it ran")

    for name, content in (("kvm", ""), ("boot_id", "first\n"), ("vmlinuz-1", "")):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(kvm, "BOOT_ID", tmp_path / "boot_id")
    monkeypatch.setattr(kvm, "stock_kernel", lambda: tmp_path / "vmlinuz-1")
    monkeypatch.setattr(kvm, "find_tool", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(kvm, "_probe", probe)
    return tried


def test_the_answer_is_remembered(probes: list[Path], tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert kvm_answer(environment) == kvm_answer(environment) == KvmAnswer(usable=True, reason="it ran")
    assert len(probes) == 1
    assert [path.name for path in (tmp_path / "cache" / "pydib").iterdir()] == ["kvm.json"]


def test_it_is_asked_again_when_the_machine_has_started_anew(probes: list[Path], tmp_path: Path) -> None:
    kvm_answer({"HOME": str(tmp_path)})
    (tmp_path / "boot_id").write_text("second\n")
    kvm_answer({"HOME": str(tmp_path)})
    assert len(probes) == 2
    assert json.loads((tmp_path / ".cache/pydib/kvm.json").read_text())["boot_id"] == "second"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot_id": "first"}', "null"])
def test_a_broken_memory_is_no_answer(probes: list[Path], tmp_path: Path, content: str) -> None:
    memory = tmp_path / "pydib" / "kvm.json"
    memory.parent.mkdir()
    memory.write_text(content)
    assert kvm_answer({"XDG_CACHE_HOME": str(tmp_path)}).usable
    assert len(probes) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(probes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert kvm_answer({"XDG_CACHE_HOME": str(tmp_path / "file")}).usable


def test_without_the_device_nothing_is_tried(probes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "kvm").unlink()
    assert not kvm_answer({"HOME": str(tmp_path)}).usable
    assert probes == []


def test_without_a_kernel_to_try_it_counts_as_unusable(probes: list[Path], tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "stock_kernel", lambda: None)
    answer = kvm_answer({"HOME": str(tmp_path)})
    assert (answer.usable, probes) == (False, [])
    assert not (tmp_path / ".cache").exists()


def test_the_newest_kernel_by_number_is_taken(tmp_path: Path) -> None:
    for name in ("vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-56-amd64", "vmlinuz-5.10.0-99-amd64", "initrd.img-7"):
        (tmp_path / name).write_text("")
    assert stock_kernel(tmp_path) == tmp_path / "vmlinuz-6.1.0-56-amd64"
    assert stock_kernel(tmp_path / "empty") is None
