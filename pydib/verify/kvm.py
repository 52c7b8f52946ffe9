"""Whether KVM can be used. That /dev/kvm opens says little: in a nested virtual machine a stock kernel may hang on it.

So a stock kernel is started on it once, and the answer is remembered until this machine starts again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydib import paths
from pydib.host.command import find_tool
from pydib.host.stream import streamed
from pydib.verify.console import Console
from pydib.verify.qemu import PROGRAM, Kernel, Machine, qemu_argv

DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROBE_SECONDS = 8.0
PROOF = "Unable to mount root fs"
"""A stock kernel without a disk ends with this, after it brought up everything of its own."""


@dataclass(frozen=True, kw_only=True)
class KvmAnswer:
    """Whether KVM is usable, and the reason, for people."""

    usable: bool
    reason: str


def stock_kernel(boot: Path = Path("/boot")) -> Path | None:
    """The newest kernel of this machine that we may read, or None."""
    readable = [path for path in boot.glob("vmlinuz-*") if os.access(path, os.R_OK)]
    return max(readable, key=lambda path: _numbers(path.name), default=None)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def kvm_answer(environment: Mapping[str, str]) -> KvmAnswer:
    """Whether a stock kernel runs under KVM here. Takes up to `PROBE_SECONDS` once per start of this machine.

    Args:
        environment: the caller's; HOME and XDG_CACHE_HOME say where the answer is remembered.
    """
    if not DEVICE.exists():
        return KvmAnswer(usable=False, reason=f"there is no {DEVICE}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return KvmAnswer(usable=False, reason=f"this user may not open {DEVICE}")
    kernel = stock_kernel()
    if kernel is None or find_tool(PROGRAM) is None:
        return KvmAnswer(usable=False, reason="no kernel in /boot is readable" if kernel is None
                         else f"{PROGRAM} is not installed")
    memory = _memory_file(environment)
    return _remembered(memory) or _remember(memory, _probe(kernel))


def _probe(kernel: Path) -> KvmAnswer:
    """Start `kernel` under KVM, and see whether it gets through its own start."""
    machine = Machine(memory_mib=256, cpus=1, accelerator="kvm", network=False,
                      kernel=Kernel(path=kernel, command_line="console=ttyS0 panic=-1"))
    console = Console(expect=PROOF)
    with streamed(*qemu_argv(machine)) as child:
        for piece in child.output(timeout_seconds=PROBE_SECONDS):
            console.feed(piece)
            if console.reached:
                return KvmAnswer(usable=True, reason=f"{kernel.name} runs on it")
    last = f" ({console.tail[-1]})" if console.tail else ""
    return KvmAnswer(usable=False, reason=f"{kernel.name} does not get anywhere on it{last}")


def _memory_file(environment: Mapping[str, str]) -> Path:
    caches = environment.get("XDG_CACHE_HOME") or paths.home(environment) / ".cache"
    return Path(caches) / "pydib" / "kvm.json"


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()


def _remembered(memory: Path) -> KvmAnswer | None:
    try:
        known = json.loads(memory.read_text())
        if known["boot_id"] == _boot_id():
            return KvmAnswer(usable=bool(known["usable"]), reason=str(known["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never asked before, or no answer of ours: ask
    return None


def _remember(memory: Path, answer: KvmAnswer) -> KvmAnswer:
    known = {"boot_id": _boot_id(), "usable": answer.usable, "reason": answer.reason}
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        aside = memory.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(known))
        aside.replace(memory)
    except OSError:
        pass  # without a cache the question is asked again next time, which is all
    return answer
