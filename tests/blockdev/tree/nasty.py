"""A small tree with everything that is easily lost, and what a tree is when two of them are compared."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

CAPABILITY = "cap_net_raw,cap_net_bind_service=ep"
FUTURE = 2_500_000_000
"""A time beyond 2038, in seconds."""


def fill(tree: Path, *, special: bool = True) -> None:
    """Fill `tree`. `special`: with what only the host's root may make, devices and attributes of the system."""
    deep = tree / "/".join(["deep"] * 40)
    for folder in (deep, tree / "empty", tree / "boot/efi/EFI", tree / "var/lib", tree / ("d" * 255)):
        folder.mkdir(parents=True)
    for number in range(1200):
        (tree / "var/lib" / f"file-{number:04}-{'x' * 60}").write_bytes(b"%d" % number)
    (tree / "boot/vmlinuz").write_bytes(os.urandom(70_000))
    (tree / "boot/efi/EFI/loader.efi").write_bytes(b"efi")
    _odd_names(tree)
    _links(tree)
    _sparse(tree / "sparse")
    _modes(tree)
    _attributes(tree, special)
    if special:
        os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(tree / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 1234))
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        cwd = os.getcwd()
        os.chdir(tree)
        one.bind("socket")
        os.chdir(cwd)
    _times(tree)


def _odd_names(tree: Path) -> None:
    names = ["with blank", "quote'", 'double"quote', "back\\slash", "-dash", " lead", "trail ", "#hash", "line\nbreak",
             "ümläut", "$HOME", "a*b?[c]", "l" * 255, "<angle>", "%s%n", "tab\there", "return\rhere", "form\ffeed",
             "line\u2028separator"]
    for name in names:
        (tree / name).write_text(name)
    Path(os.fsdecode(os.fsencode(tree) + b"/not-utf-8-\xff\xfe")).write_text("bytes")


def _links(tree: Path) -> None:
    (tree / "one").write_text("three names")
    (tree / "two").hardlink_to(tree / "one")
    (tree / "empty/three").hardlink_to(tree / "one")
    (tree / "short").symlink_to("one")
    (tree / "dangling").symlink_to("/no/such/place")
    (tree / "long").symlink_to("x/" * 450 + "y")
    (tree / "link-to-folder").symlink_to("empty")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(24 << 20)
        file.seek(9 << 20)
        file.write(b"middle")


def _modes(tree: Path) -> None:
    for name, mode, owner, group in (("suid", 0o4755, 0, 0), ("sgid", 0o2711, 12, 34), ("none", 0o000, 60_000, 65_000),
                                     ("read-only", 0o444, 1, 2)):
        (tree / name).write_text(name)
        os.chown(tree / name, owner, group)
        (tree / name).chmod(mode)
    os.chown(tree / "short", 5, 6, follow_symlinks=False)
    (tree / "empty").chmod(0o3770)
    (tree / "boot").chmod(0o700)
    os.chown(tree, 0, 42)
    tree.chmod(0o751)


def _attributes(tree: Path, special: bool) -> None:
    (tree / "capable").write_text("program")
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin")
    if setcap:
        subprocess.run([setcap, CAPABILITY, tree / "capable"], check=True)
    else:
        os.setxattr(tree / "capable", "security.capability", bytes.fromhex("0100000200240000000000000000000000000000"))
    os.setxattr(tree / "one", "user.text", b"value")
    os.setxattr(tree / "one", "user.bytes", bytes(range(256)))
    os.setxattr(tree / "empty", "user.folder", b"")
    os.setxattr(tree, "user.root", b"r")
    if special:
        os.chown(tree / "none", 70_000, 80_000)
        os.setxattr(tree / "one", "security.selinux", b"system_u:object_r:etc_t:s0\0")
        os.setxattr(tree / "one", "trusted.text", b"of root")
        os.setxattr(tree / "short", "security.selinux", b"of a link\0", follow_symlinks=False)
    os.setxattr(tree / "read-only", "system.posix_acl_access", bytes.fromhex(
        "0200000001000400ffffffff0200040021000000040004 00ffffffff10000400ffffffff20000400ffffffff".replace(" ", "")))


def _times(tree: Path) -> None:
    for path, moment in (("one", 981_173_106_123_456_789), ("short", 999_999_999_999_999_999),
                         ("suid", FUTURE * 10**9 + 5), ("with blank", 10**9 + 7), ('double"quote', 10**9 + 11)):
        os.utime(tree / path, ns=(moment, moment), follow_symlinks=False)
    for path in ("deep", "empty", "boot", "boot/efi", "var", "."):
        os.utime(tree / path, ns=(86_400 * 10**9 + 250_000_000, 86_400 * 10**9 + 250_000_000))


def entries(tree: Path) -> dict[str, tuple[object, ...]]:
    """What counts of each file in `tree`, by its path: hard links by the paths that share a file."""
    groups: dict[tuple[int, int], list[str]] = {}
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(tree):
        for name in (".", *folders, *files) if folder == str(tree) else (*folders, *files):
            path = Path(folder, name)
            seen = path.lstat()
            place = os.path.relpath(path, tree)
            if not stat.S_ISDIR(seen.st_mode):
                groups.setdefault((seen.st_dev, seen.st_ino), []).append(place)
            found[place] = (oct(seen.st_mode), seen.st_uid, seen.st_gid, seen.st_mtime_ns, _content(path, seen),
                            _xattrs(path), seen.st_rdev if stat.S_ISCHR(seen.st_mode) or stat.S_ISBLK(seen.st_mode)
                            else 0, "" if stat.S_ISDIR(seen.st_mode) else seen.st_nlink)
    together = {place: tuple(sorted(names)) for names in groups.values() for place in names}
    return {place: (*facts, together.get(place, ())) for place, facts in found.items() if place != "lost+found"}


def _content(path: Path, seen: os.stat_result) -> object:
    if stat.S_ISLNK(seen.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(seen.st_mode):
        return seen.st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def is_line(name: str) -> bool:
    """Whether `name` is one line: of others, ext4's tools keep times to the second."""
    return not {"\n", "\r"} & set(name)


def _xattrs(path: Path) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, os.getxattr(path, name, follow_symlinks=False))
                 for name in sorted(os.listxattr(path, follow_symlinks=False))
                 if not name.startswith("trusted.SGI_ACL"))  # xfs: ACLs by their old name
