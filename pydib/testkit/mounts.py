"""What a script under test sees: the mounts of its private namespace, written as an fstab that one mount(8) reads."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


@cache
def overlay_attribute() -> str:
    """Where overlayfs keeps its marks: `trusted.` for the machine's root, `user.` in a user namespace (then with the
    mount option userxattr, see the kernel's Documentation/filesystems/overlayfs.rst)."""
    mapped = Path("/proc/self/uid_map").read_text().split()
    return "trusted" if os.getuid() == 0 and mapped == ["0", "0", "4294967295"] else "user"


def write_fstab(file: Path, *, side: str, base: Path, root: Path, kit: Path, hooks: Path, lower: str) -> None:
    """Write the mounts for one run to `file`.

    Args:
        side: `target` (hook tree in the target's /tmp), `host` (`base` stays writable there, the target is mounted at
            `root`) or `bare` (as host, without the target's mounts).
        base: directory of the test.
        root: the fake root.
        kit: directory of the stand-ins.
        hooks: the hook tree.
        lower: lower directories of the overlay on `root`/usr, as in its option `lowerdir`.
    """
    lines = [] if side == "target" else [_line(base, base, "none", "bind")]
    if side != "bare":
        lines += _target(base, root, kit, lower)
    if side == "target":
        (root / "tmp/in_target.d").mkdir()
        lines.append(_line(hooks, root / "tmp/in_target.d", "none", "bind,ro"))
    else:
        lines.append(_line("proc", "/proc", "proc", "defaults"))  # ours, since the PID namespace is a new one
    file.write_text("".join(lines))


def _target(base: Path, root: Path, kit: Path, lower: str) -> list[str]:
    # volatile: unmounting does not wait for the whole disk; such a work directory can be used only once
    number = len(list(base.glob("work-*")))
    work = base / f"work-{number}"
    work.mkdir()
    options = f"lowerdir={lower},upperdir={root}/usr,workdir={work},volatile"
    if overlay_attribute() == "user":
        options += ",userxattr"
    devices = _device_directory(base)
    return [
        _line("overlay", root / "usr", "overlay", options),
        _line(devices, root / "dev", "none", "bind"),
        *(_line(f"/dev/{name}", root / "dev" / name, "none", "bind") for name in DEVICES),
        _line(kit, root / "dev/pydib-testkit", "none", "bind"),
        _line("proc", root / "proc", "proc", "defaults"),
    ]


def _device_directory(base: Path) -> Path:
    """A /dev without devices; files stand where the real ones are bound."""
    devices = base / "dev"
    if not devices.exists():
        for name in ("", "pts", "shm", "pydib-testkit"):
            (devices / name).mkdir()
        for name in DEVICES:
            (devices / name).touch()
        for name, target in DEVICE_LINKS.items():
            (devices / name).symlink_to(f"/proc/self/{target}")
    return devices


def _line(source: Path | str, target: Path | str, kind: str, options: str) -> str:
    words = (str(source), str(target), kind, options)
    return " ".join(word.replace("\\", "\\134").replace(" ", "\\040") for word in words) + " 0 0\n"
