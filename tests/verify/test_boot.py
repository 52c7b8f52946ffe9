"""Booting: the machine's own kernel with a busybox initramfs, so no distribution has to be built for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pydib.errors import InputError, ToolMissing
from pydib.host.command import find_tool
from pydib.verify import boot as module
from pydib.verify.boot import BootResult, boot, efi_firmware, watch
from pydib.verify.kvm import stock_kernel
from pydib.verify.qemu import PROGRAM, Drive, Kernel, Machine
from tests.boot_sector import boot_disk

BUSYBOX = Path("/bin/busybox")
NEEDED = {
    f"{PROGRAM} is not installed": find_tool(PROGRAM) is None,
    "qemu-img is not installed": find_tool("qemu-img") is None,
    "no kernel in /boot is readable": stock_kernel() is None,
    "busybox-static is not installed": not BUSYBOX.exists(),
}
needs_qemu = pytest.mark.skipif(any(NEEDED.values()), reason=", ".join(why for why, lacks in NEEDED.items() if lacks))


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An archive as the kernel unpacks it (its document buffer-format.rst, `newc`): mode and content by name."""
    parts = []
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))]):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        parts += [head.ljust(-(-len(head) // 4) * 4, b"\0"), content.ljust(-(-len(content) // 4) * 4, b"\0")]
    return b"".join(parts)


@pytest.fixture
def machine(tmp_path: Path) -> object:
    """Makes a machine that runs a shell script as its first process."""

    def make(script: str, **more: object) -> Machine:
        init = f"#!/bin/busybox sh\n{script}\n".encode()
        (tmp_path / "initrd").write_bytes(cpio({
            "dev": (0o40755, b""), "bin": (0o40755, b""), "bin/busybox": (0o100755, BUSYBOX.read_bytes()),
            "init": (0o100755, init)}))
        kernel = stock_kernel()
        assert kernel is not None
        return Machine(cpus=1, memory_mib=512, network=False, **more,  # type: ignore[arg-type]
                       kernel=Kernel(path=kernel, initrd=tmp_path / "initrd", command_line="console=ttyS0 panic=0"))

    return make


def seen(machine: Machine, **options: object) -> tuple[BootResult, list[str]]:
    """Watch a machine; gives the lines of its console, too."""
    lines: list[str] = []
    result = watch(machine, timeout_seconds=120, on_line=lines.append, **options)  # type: ignore[arg-type]
    return result, lines


@pytest.mark.boot
@needs_qemu
def test_a_login_prompt_is_reached_and_the_machine_is_gone(machine, processes) -> None:  # type: ignore[no-untyped-def]
    result, lines = seen(machine("printf 'tiny login: '; while :; do /bin/busybox sleep 9; done"))
    assert result.reached, result.tail
    assert result.tail[-1].startswith("tiny login:")
    assert any("Linux version" in line for line in lines)
    assert 0 < result.seconds < 120
    assert processes() == []


@pytest.fixture
def processes(tmp_path: Path) -> object:
    """Tells which processes have this test's folder on their command line."""

    def find() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(tmp_path) in words and int(folder.name) != os.getpid():
                found.append(words.decode(errors="replace"))
        return found

    return find


@pytest.mark.boot
@needs_qemu
def test_a_panic_ends_the_wait(machine) -> None:  # type: ignore[no-untyped-def]
    result, _ = seen(machine("exit 3"))
    assert (result.reached, result.reason) == (False, "its kernel panicked")
    assert any("Kernel panic" in line for line in result.tail)


@pytest.mark.boot
@needs_qemu
def test_a_machine_that_switches_itself_off(machine) -> None:  # type: ignore[no-untyped-def]
    result, _ = seen(machine("/bin/busybox poweroff -f"))
    assert (result.reached, result.reason) == (False, "the machine switched itself off")


def boot_text(folder: Path, text: str, **options: object) -> BootResult:
    """Boot a disk that prints `text`."""
    (folder / "disk.raw").write_bytes(boot_disk(text))
    return boot(folder / "disk.raw", accelerator="tcg", **options)  # type: ignore[arg-type]


@needs_qemu
def test_a_prompt_without_a_line_end_counts(tmp_path: Path) -> None:
    lines: list[str] = []
    result = boot_text(tmp_path, "hello\r\ntiny login: ", timeout_seconds=60, on_line=lines.append)
    assert (result.reached, result.reason, result.accelerator) == (True, "", "tcg")
    assert lines[-2:] == ["hello", "tiny login:"]


@needs_qemu
def test_expected_text(tmp_path: Path) -> None:
    assert boot_text(tmp_path, "service is up", expect="is up", timeout_seconds=60).reached


@needs_qemu
def test_another_text_than_the_expected_is_not_enough(tmp_path: Path) -> None:
    result = boot_text(tmp_path, "tiny login: ", expect="service is up", timeout_seconds=3)
    assert not result.reached
    assert result.tail[-1] == "tiny login:"


@needs_qemu
def test_what_the_machine_writes_is_forgotten(tmp_path: Path) -> None:
    assert boot_text(tmp_path, "written", expect="written", timeout_seconds=60).reached
    assert (tmp_path / "disk.raw").read_bytes() == boot_disk("written")
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


@needs_qemu
def test_a_disk_that_may_be_written_is(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(boot_disk("written"))
    watch(Machine(drives=(Drive(path=tmp_path / "disk.raw", format="raw", snapshot=False),)), expect="written",
          timeout_seconds=60)
    assert b"before" not in (tmp_path / "disk.raw").read_bytes()


@needs_qemu
def test_an_empty_disk_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "blank.raw").write_bytes(bytes(1 << 20))
    result = boot(tmp_path / "blank.raw", timeout_seconds=60, accelerator="tcg")
    assert (result.reached, result.reason) == (False, "the firmware found nothing to boot")
    assert result.seconds < 60


@needs_qemu
def test_time_runs_out(tmp_path: Path) -> None:
    result = boot_text(tmp_path, "and then nothing", timeout_seconds=1.5)
    assert (result.reached, result.reason) == (False, "it did not come within 2 s")


@needs_qemu
def test_qemu_itself_fails() -> None:
    result = watch(Machine(drives=(Drive(path=Path("/no/such.raw"), format="raw"),)), timeout_seconds=30)
    assert result.reason == "QEMU ended with exit code 1"
    assert "No such file" in result.tail[-1]


def test_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such disk image"):
        boot(tmp_path / "nothing.qcow2")


def test_no_efi_firmware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "EFI_FIRMWARE", ((str(tmp_path / "code"), str(tmp_path / "vars")),))
    with pytest.raises(ToolMissing, match="apt-get install ovmf"):
        efi_firmware()
    (tmp_path / "code").write_text("")
    (tmp_path / "vars").write_text("")
    assert efi_firmware().code == tmp_path / "code"
