"""The target root around its scripts: system mounts, resolv.conf, the hook tree inside, and tidying (section 5)."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydib.errors import CommandFailed, EngineError
from pydib.host import kernel
from pydib.host.command import run
from pydib.host.inside import folder_inside, is_inside
from pydib.host.machine import in_user_namespace
from pydib.host.mount import detach, mount, mounted, mounts_below, unmount_below
from pydib.host.removal import remove_tree

RESOLV_CONF = "etc/resolv.conf"
ORIGINAL = "etc/resolv.conf.ORIG"
FALLBACK_RESOLVER = "nameserver 8.8.8.8\n"
IN_TARGET = "tmp/in_target.d"


def check_root(root: Path) -> None:
    """After root.d the target must hold more than scratch directories (C-131).

    Raises:
        EngineError: it does not.
    """
    names = [entry.name for entry in os.scandir(root)]
    if not any(not name.startswith("lost+found") and not name.endswith("tmp") for name in names):
        raise EngineError("Failed to deploy the root element: after the root phase the target is empty",
                          where=str(root), hint="an operating system element must fill $TARGET_ROOT in its root.d")


def replace_resolv_conf(root: Path, host_file: Path = Path("/etc/resolv.conf")) -> None:
    """Put the host's resolv.conf into the target, and its own aside (C-132)."""
    folder_inside(root, "etc")
    inside = root / RESOLV_CONF
    if inside.is_symlink() or inside.exists():
        os.replace(inside, root / ORIGINAL)
    try:
        text = host_file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        text = FALLBACK_RESOLVER
    inside.write_text(text, encoding="utf-8", errors="surrogateescape")
    inside.chmod(0o777)


def restore_resolv_conf(root: Path) -> None:
    """Give the image its own resolv.conf back, unless a script made it a link or immutable (C-161)."""
    folder_inside(root, "etc")
    inside, original = root / RESOLV_CONF, root / ORIGINAL
    if inside.is_symlink() or _is_immutable(inside):
        original.unlink(missing_ok=True)
        return
    inside.unlink(missing_ok=True)
    if original.is_symlink() or original.exists():
        os.replace(original, inside)


def _is_immutable(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        return "i" in run("lsattr", "-d", path).split()[0]
    except (CommandFailed, IndexError):
        return False


@contextmanager
def system_mounts(root: Path) -> Iterator[None]:
    """proc, the host's /dev, a devpts of its own and a read-only sysfs in the target (C-133).

    In the end these go, and with them whatever scripts have mounted meanwhile; what was there before stays.
    """
    for name in ("proc", "dev", "sys"):
        folder_inside(root, name)
    before = [found.target for found in mounts_below(root)]
    try:
        mount("proc", root / "proc", fstype="proc")
        mount("/dev", root / "dev", options="rbind" if in_user_namespace() else "bind")
        if (root / "dev/pts").is_dir():
            mount("devpts", root / "dev/pts", fstype="devpts", options="gid=5,mode=620,ptmxmode=666")
        if in_user_namespace():  # a sysfs of its own needs a network of its own; the room's is read-only
            mount("/sys", root / "sys", options="rbind")
        else:
            mount("sysfs", root / "sys", fstype="sysfs", options="ro")
        yield
    finally:
        unmount_below(root, itself=False, keep=before)


@contextmanager
def devices_lent(root: Path) -> Iterator[None]:
    """The devices of the host's /dev in a target that has a /dev and nothing in it, for as long as the block lasts.

    Only root can make device nodes. Programs that scripts of root.d run in the target by chroot(8) would not have even
    /dev/null, and the first to write there would leave a file in its place.
    """
    place = root / "dev"
    if place.is_symlink() or not place.is_dir() or any(os.scandir(place)):
        yield
        return
    before = [found.target for found in mounts_below(root)]
    try:
        _lend_devices(place)
        yield
    finally:
        unmount_below(place, keep=before)


def _lend_devices(place: Path, host: Path = Path("/dev")) -> None:
    """A folder in memory, so that what is removed or made there is not the host's, with the host's devices in it."""
    kernel.mount("tmpfs", place, fstype="tmpfs", data="mode=0755,size=1m")
    for entry in sorted(os.scandir(host), key=lambda entry: entry.name):
        inside = place / entry.name
        if entry.is_symlink():
            inside.symlink_to(os.readlink(entry.path))
        elif entry.is_dir():
            inside.mkdir()
        elif stat.S_ISCHR(entry.stat().st_mode):
            inside.touch()
            kernel.mount(entry.path, inside, flags=kernel.MS_BIND)
    if (place / "pts").is_dir():
        kernel.mount("devpts", place / "pts", fstype="devpts", data="gid=5,mode=620,ptmxmode=666")


@contextmanager
def hook_tree_inside(tree: Path, root: Path, *, has_place: bool = False) -> Iterator[None]:
    """The hook tree, read-only, at /tmp/in_target.d of the target (C-140).

    Args:
        has_place: whether that directory is there already, and stays.
    """
    folder_inside(root, "tmp", hint="the operating system element must make it in root.d, mode 1777")
    place = root / IN_TARGET
    try:
        place.mkdir(exist_ok=has_place and not place.is_symlink())
    except FileExistsError:
        raise EngineError("/tmp/in_target.d exists in the target already", where=str(place),
                          hint="a script made it; the engine needs that name (C-140)") from None
    before = [found.target for found in mounts_below(root / "tmp")]
    try:
        with mounted(tree, place, options="bind,ro"):
            try:
                yield
            finally:
                _uncover(root / "tmp", before)
    finally:
        if not has_place:
            place.rmdir()


def _uncover(tmp: Path, before: Sequence[Path]) -> None:
    """What scripts have mounted on the target's /tmp hides the hook tree, and goes."""
    place = tmp.resolve()
    added = [found.target for found in mounts_below(tmp)].count(place) - before.count(place)
    for _ in range(added):
        detach(place)


def release_tree(root: Path) -> None:
    """Before the tree moves into the image: nothing may stay mounted in it (C-150)."""
    lost_and_found = root / "lost+found"
    if lost_and_found.is_dir() and not lost_and_found.is_symlink():
        shutil.rmtree(lost_and_found)
    unmount_below(root, itself=False)


def tidy_tree(root: Path) -> None:
    """Empty /tmp, the files below /var/log, and remove logs in /root (C-162)."""
    _empty(root, "tmp")
    for path in _files_below(root, "var/log"):
        os.truncate(path, 0)
    for path in _files_below(root, "root"):
        if path.name.endswith(".log"):
            path.unlink()


def _empty(root: Path, name: str) -> None:
    folder = root / name
    if folder.is_symlink() or not folder.is_dir():
        return
    unmount_below(folder, itself=False)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if not remove_tree(Path(entry.path)):
                raise EngineError("a folder that scripts left cannot be removed", where=entry.path)
        else:
            os.unlink(entry.path)


def _files_below(root: Path, name: str) -> Iterator[Path]:
    """Regular files; links are not followed, since they may lead out of the target."""
    folder = root / name
    if folder.is_symlink() or not folder.is_dir() or not is_inside(root, name):
        return
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def first_file_with(root: Path, values: Sequence[bytes]) -> str:
    """The first regular file, by its path in `root`, that holds one of `values`; empty without one. /proc, /dev and
    /sys are the machine's own."""
    if not values:
        return ""
    for place, folders, names in os.walk(root):
        if Path(place) == root:
            folders[:] = [name for name in folders if name not in ("proc", "dev", "sys")]
        for name in names:
            path = Path(place, name)
            if stat.S_ISREG(path.lstat().st_mode) and _holds(path, values):
                return str(path.relative_to(root))
    return ""


def _holds(path: Path, values: Sequence[bytes]) -> bool:
    """Read in pieces that overlap by the longest value."""
    overlap, before = max(map(len, values)), b""
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            if any(value in before + piece for value in values):
                return True
            before = piece[-overlap:]
    return False


_BLOCK = 4096
_AT_ONCE = 1 << 20
_SHORT_LINK = 60
"""A target up to that length lies in the link's inode."""


def tree_size_kib(tree: Path) -> int:
    """Disk usage of `tree` in KiB, on its own filesystem only (C-224), as du(1) counts it on a new ext4.

    It is the same wherever the tree lies, and however it came there: du tells what the filesystem of the build takes,
    where folders do not shrink, or take nothing at all.
    """
    top = tree.lstat()
    return _folder_bytes(str(tree), top.st_dev, set()) // 1024


def _folder_bytes(folder: str, device: int, seen: set[int]) -> int:
    total, names = 0, 24
    with os.scandir(folder) as found_there:
        entries = list(found_there)  # folders may be nested deeper than a process may have files open
    for entry in entries:
        found = entry.stat(follow_symlinks=False)
        names += 8 + (len(os.fsencode(entry.name)) + 3) // 4 * 4
        if found.st_dev != device:
            continue
        if stat.S_ISDIR(found.st_mode):
            total += _folder_bytes(entry.path, device, seen)
        elif found.st_nlink == 1 or found.st_ino not in seen:
            seen.add(found.st_ino)
            total += _file_bytes(entry.path, found)
    return total + -(-names // _BLOCK) * _BLOCK


def _file_bytes(path: str, found: os.stat_result) -> int:
    """What the content takes; of files with holes only blocks that hold more than zeros, as mke2fs(8) writes them: it
    depends on the filesystem, and on chance, whether a block of zeros was ever written."""
    if stat.S_ISLNK(found.st_mode):
        return _BLOCK if found.st_size >= _SHORT_LINK else 0
    if not stat.S_ISREG(found.st_mode):
        return 0
    whole = -(-found.st_size // _BLOCK) * _BLOCK
    return whole if found.st_blocks * 512 >= found.st_size else _bytes_beside_holes(path)


def _bytes_beside_holes(path: str) -> int:
    total = end = known = 0
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        while True:
            start = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
            begin, known = max(known, start // _BLOCK * _BLOCK), -(-end // _BLOCK) * _BLOCK
            for at in range(begin, known, _AT_ONCE):
                piece = os.pread(handle, min(_AT_ONCE, known - at), at)
                total += sum(_BLOCK for inside in range(0, len(piece), _BLOCK)
                             if piece[inside:inside + _BLOCK].strip(b"\0"))
    except OSError:  # ENXIO: only a hole is left
        return total
    finally:
        os.close(handle)


def usage(tree: Path, *, full: bool) -> str:
    """Disk usage of the folders in `tree`, in KiB, largest first: those of 10 MiB and more, or with `full` all
    (DIB_SHOW_IMAGE_USAGE, C-026)."""
    least = "1K" if full else "10M"
    rows = run("du", "--one-file-system", "--block-size=1024", f"--threshold={least}", "--", tree).splitlines()
    return "\n".join(sorted(rows, key=lambda row: -int(row.split()[0])))


def copy_tree(tree: Path, target: Path) -> None:
    """Copy all that is in `tree`, hidden names and the root folder's own mode too (C-155), into `target`.

    Raises:
        EngineError: the image is too small, or something could not be copied.
    """
    try:
        run("cp", "--archive", "--sparse=auto", "--", f"{tree}/.", f"{target}/")
    except CommandFailed as error:
        hint = ""
        if "No space left" in error.output:
            hint = "the image is too small for the tree: give --image-size (GiB) or --image-extra-size (MiB)"
        raise EngineError(f"the tree could not be copied into the image: {error.what}", where=str(target),
                          hint=hint) from None
