"""A Debian machine in QEMU, built by pydib, that runs one command and switches itself off.

It is there for what this machine's kernel may lack: device-mapper, vfat, modules, udev. A copy of the checkout (which
may be worked on meanwhile) and the Python packages that run these tests are shared with it (9p, read-only) as `/pydib`
and `/site`, and one folder both ways as `/job`. The disk forgets what is written to it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydib import clock
from pydib.host.stream import streamed
from pydib.verify.console import Console
from pydib.verify.kvm import kvm_answer
from pydib.verify.qemu import Drive, Machine, qemu_argv

CHECKOUT = Path(__file__).resolve().parents[2]
ELEMENTS = ("debian-minimal", "vm", "guest")
DISK_GIB = 12
MEMORY_MIB = 6144
CPUS = 1
"""Two, emulated in two threads, stopped now and then for good on a busy machine, after more than ten minutes."""
PROGRAMS = {"pydib": "cli.main import run", "disk-image-create": "cli.drop_in import disk_image_create as run"}
PRELUDE = """\
packages=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$packages"
printf '/pydib\\n/site\\n' >"$packages/pydib.pth"
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DIB_NO_TIMESTAMP=1 TMPDIR=/var/tmp
dmesg --console-level emerg
"""
"""Python's packages are as good as installed, for scripts of elements too; the kernel keeps the console free."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a job went: `code` of the command, its stdout and stderr in one, and the machine's time in seconds."""

    code: int
    output: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Runs commands, each in a machine of its own that is gone afterwards.

    Args:
        image: built from `ELEMENTS`.
        checkout: from `copy_of_checkout`.
        place: a folder of the host that the machine sees as `/job`; results that are left there stay.
        read_only: further folders, by the name of the mount point in the machine.
    """

    image: Path
    checkout: Path
    place: Path
    read_only: Mapping[str, Path] = field(default_factory=dict)

    def run(self, command: str, *, timeout_seconds: float, **environment: str) -> Result:
        """Run `command` with bash. pydib's commands are on its PATH.

        Raises:
            AssertionError: the machine did not bring an exit code back in time; with the end of its console.
        """
        (self.place / "command").write_text(_script(command, environment))
        for name in ("code", "output"):
            (self.place / name).unlink(missing_ok=True)
        shares = {"pydib": self.checkout, "site": Path(sysconfig.get_path("purelib")), **self.read_only}
        (self.place / "read-only").write_text("".join(f"{name}\n" for name in shares))
        console = Console(expect="\0")
        begun = clock.monotonic()
        with streamed(*qemu_argv(self._machine()), *_share("job", self.place, writable=True),
                      *(word for name, path in shares.items() for word in _share(name, path))) as child:
            for piece in child.output(timeout_seconds=timeout_seconds):
                console.feed(piece)
        seconds = clock.monotonic() - begun
        assert (self.place / "code").exists(), \
            f"no exit code after {seconds:.0f} s; the console ends with\n" + "\n".join(console.tail)
        output = (self.place / "output").read_text(errors="replace")
        return Result(code=int((self.place / "code").read_text()), output=output, seconds=seconds)

    def _machine(self) -> Machine:
        return Machine(drives=(Drive(path=self.image, format="qcow2"),), memory_mib=MEMORY_MIB, cpus=CPUS,
                       accelerator="kvm" if kvm_answer(os.environ).usable else "tcg")


def copy_of_checkout(folder: Path) -> Path:
    """Copy what this checkout holds, but for what is made in it, to `folder`."""
    leave_out = shutil.ignore_patterns(".*", "__pycache__", "*.qcow2")
    return shutil.copytree(CHECKOUT, folder, symlinks=True, ignore=leave_out)


def _share(tag: str, path: Path, *, writable: bool = False) -> tuple[str, ...]:
    """A folder of ours for the machine (qemu-system(1), -virtfs)."""
    protection = "" if writable else ",readonly=on"
    place = str(path).replace(",", ",,")
    return ("-virtfs", f"local,path={place},mount_tag={tag},security_model=passthrough,multidevs=remap{protection}")


def _script(command: str, environment: Mapping[str, str]) -> str:
    variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    functions = "".join(f"{name}() {{ python3 -c 'from pydib.{what}; run()' \"$@\"; }}\n"
                        for name, what in PROGRAMS.items())
    return PRELUDE + variables + functions + command + "\n"
