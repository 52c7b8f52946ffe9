"""Filesystems: how long a label may be, the options of the root filesystem, and the command that makes one. Pure.

Contract C-213, C-220, C-225, C-226; mke2fs(8), mkfs.xfs(8), mkfs.btrfs(8), mkfs.fat(8), mkswap(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydib.blockdev.nodes import Mkfs
from pydib.sizes import DEFAULT_JOURNAL_MIB, MIB

LABEL_BYTES = {"ext2": 16, "ext3": 16, "ext4": 16, "swap": 16, "xfs": 12, "vfat": 11, "fat": 11, "msdos": 11,
               "btrfs": 255}
EXT = ("ext2", "ext3", "ext4")
FAT = ("vfat", "fat", "msdos")
ROOT_NODE = "mkfs_root"
_UUID_OPTION = {"ext2": "-U", "ext3": "-U", "ext4": "-U", "btrfs": "-U", "swap": "-U", "vfat": "-i", "fat": "-i",
                "msdos": "-i"}
_SMALLEST_JOURNAL_MIB = 4


@dataclass(frozen=True, kw_only=True)
class RootDefaults:
    """What the command line says about the root filesystem; used for the node `mkfs_root` where it is silent (C-213).

    Args:
        fs_type: FS_TYPE.
        label: ROOT_LABEL; empty: img-rootfs for xfs, else cloudimg-rootfs.
        options: further words for mkfs (`--mkfs-options`).
        journal_mib: DIB_JOURNAL_SIZE in MiB; None: 64, or what fits into a small filesystem (C-226).
        max_online_resize: MAX_ONLINE_RESIZE in blocks, as mke2fs takes it; empty: not limited.
        metadata_csum: False leaves that feature out, for kernels of trusty's time (C-225).
    """

    fs_type: str = "ext4"
    label: str = ""
    options: tuple[str, ...] = ()
    journal_mib: int | None = None
    max_online_resize: str = ""
    metadata_csum: bool = True

    def label_for(self, fs_type: str) -> str:
        """The label of a root filesystem of that type."""
        return self.label or ("img-rootfs" if fs_type == "xfs" else "cloudimg-rootfs")


def written_label(label: str, fs_type: str) -> str:
    """`label` as it stands on disk: FAT knows capitals only (C-220)."""
    return label.upper() if fs_type in FAT else label


def journal_mib(root: RootDefaults, size_bytes: int) -> int:
    """The journal of an ext4 root filesystem of `size_bytes`, in MiB; 0 lets mke2fs decide.

    What was asked for is taken as it is. The default of 64 MiB is halved until it takes at most 0.45 of the
    filesystem: mke2fs refuses more than half of the blocks that are free after its own tables (C-226).

    >>> journal_mib(RootDefaults(), 2048 * MIB), journal_mib(RootDefaults(), 100 * MIB)
    (64, 32)
    """
    if root.journal_mib is not None:
        return root.journal_mib
    size = DEFAULT_JOURNAL_MIB
    while size >= _SMALLEST_JOURNAL_MIB:
        if size * MIB <= 0.45 * size_bytes:
            return size
        size //= 2
    return 0


def root_options(fs_type: str, root: RootDefaults, size_bytes: int) -> tuple[str, ...]:
    """Words for mkfs of the root filesystem (C-225): the engine's own before the user's.

    >>> root_options("ext4", RootDefaults(options=("-m", "1")), 2048 * MIB)
    ('-i', '4096', '-J', 'size=64', '-m', '1')
    """
    words: list[str] = []
    if fs_type == "ext4":
        journal = journal_mib(root, size_bytes)
        words += ["-i", "4096", *(["-J", f"size={journal}"] if journal else [])]
        words += [] if root.metadata_csum else ["-O", "^metadata_csum"]
    if root.max_online_resize and fs_type in EXT:
        words += ["-E", f"resize={root.max_online_resize}"]
    return (*words, *root.options)


def mkfs_options(node: Mkfs, root: RootDefaults, size_bytes: int) -> tuple[str, ...]:
    """The words of options for `node` on a device of `size_bytes`."""
    return root_options(node.type, root, size_bytes) if node.options is None else node.options


def mkfs_tool(fs_type: str) -> str:
    """The program that makes a filesystem of that type."""
    return "mkswap" if fs_type == "swap" else f"mkfs.{fs_type}"


def mkfs_command(node: Mkfs, device: str, options: Sequence[str]) -> tuple[str, ...]:
    """The command that makes the filesystem `node` on `device`. Without a uuid the tool picks one.

    >>> mkfs_command(Mkfs(name="m", base="b", type="ext4", label="root"), "/dev/loop0", ["-i", "4096"])
    ('mkfs.ext4', '-i', '4096', '-L', 'root', '-q', '/dev/loop0')
    """
    if node.hash_seed and node.type in EXT and not any("hash_seed=" in word for word in options):
        options = with_extended(options, [f"hash_seed={node.hash_seed}"])
    label = ("-n" if node.type in FAT else "-L", node.label)
    quiet = ("-q",) if node.type in (*EXT, "xfs", "btrfs") else ()
    return (mkfs_tool(node.type), *options, *label, *_uuid_words(node), *quiet, device)


def with_extended(options: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """`options` with one word of extended options: of several -E, mke2fs takes only the last."""
    words = iter(options)
    kept: list[str] = []
    extended: list[str] = []
    for word in words:
        if word == "-E":
            extended.append(next(words, ""))
        elif word.startswith("-E"):
            extended.append(word.removeprefix("-E"))
        else:
            kept.append(word)
    extended = [*extended[-1:], *more]
    return (*kept, *(("-E", ",".join(extended)) if extended else ()))


def made_at(moment: int | None) -> Mapping[str, str]:
    """Variables that let the tools that make filesystems believe that it is `moment`, in seconds since 1970; none for
    the time of day (mke2fs reads the first; mkfs.fat, mtools and mksquashfs the second)."""
    return {} if moment is None else {"E2FSPROGS_FAKE_TIME": str(moment), "SOURCE_DATE_EPOCH": str(moment)}


def names_itself(fs_type: str, options: Sequence[str]) -> bool:
    """Whether `options` give the filesystem its UUID."""
    option = _UUID_OPTION.get(fs_type)
    if option is None:
        return any("uuid=" in word for word in options)
    return any(word.startswith(option) for word in options)


def _uuid_words(node: Mkfs) -> tuple[str, ...]:
    if not node.uuid:
        return ()
    if node.type == "xfs":
        return ("-m", f"uuid={node.uuid}")
    if node.type in FAT:
        return ("-i", node.uuid.replace("-", ""))
    option = _UUID_OPTION.get(node.type)
    return (option, node.uuid) if option else ()
