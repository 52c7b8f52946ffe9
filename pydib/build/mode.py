"""Which mode of assembly a build takes: its disk made from the finished tree, or on a block device. Only reads.

Tree mode needs no loop device and no root, and is faster. Device mode is DIB's way; scripts that change the disk
itself need it. An element that brings image-file.d says by that that it can do without a block device: those scripts
get the finished disk as a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydib.blockdev import Graph
from pydib.blockdev.tree.kernel import PROGRAM
from pydib.blockdev.tree.limits import why_not
from pydib.element.hooks import Entry
from pydib.errors import RecipeError
from pydib.host.command import find_tool
from pydib.phase.phases import Mode, Phase

IMAGE_FILE_PHASE = "image-file"
_DEVICE_WORDS = re.compile(
    rb"\bIMAGE_BLOCK_DEVICES?\b|\bdib-block-device\b|\bimage-block-devices?\b|\blosetup\b|\bkpartx\b|/dev/(?:loop|mapper/)"
    rb"|\bgrub2?-(?:install|mkconfig|probe|bios-setup)\b|\bupdate-grub2?\b|\b(?:extlinux|zipl|lilo|grubby)\b"
    rb"|\b(?:blkid|findmnt|lsblk|sfdisk|sgdisk|parted|partprobe|blockdev)\b|\bdf .*--output=source\b"
    rb"|\b(?:chattr|mkswap|fallocate|btrfs|xfs_[a-z]+|tune2fs|resize2fs|e2label)\b")
"""Words that mean: this script asks for, or changes, what the tree is mounted from; or it needs the very filesystem
that the image will have, as flags of files and swap files without holes do."""
_LOOP_WORDS = re.compile(rb"\bextract-image\b|\blosetup\b|\bkpartx\b|\bqemu-nbd\b")
"""Words that mean: this script opens disk images by the kernel, as DIB's bin/extract-image does with cloud images."""
_VARIABLE = re.compile(rb"\bIMAGE_BLOCK_DEVICES?\b")
_REMOVAL = re.compile(rb"^\s*(?:sudo\s+)?rm\s[^;&|]*$")
"""A line that only removes files: what a device would have left behind, as DIB's element vm does."""
_MOST_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """How the disk is made, and why; `warning` is what a user should know about it."""

    mode: Mode
    reason: str
    warning: str = ""


def decide_assembly(wish: str, graph: Graph, entries: Sequence[Entry], phases: Sequence[Phase]) -> Assembly:
    """The mode of assembly.

    Args:
        wish: auto, tree or device.
        graph: the disk.
        entries: what goes into the hook tree.
        phases: all phases; those that have variables of the disk are looked through.

    Raises:
        RecipeError: tree mode was asked for, and the configuration cannot be made in it.
    """
    if wish == "device":
        return Assembly(mode="device", reason="it was asked for")
    limit = why_not(graph, has_kernel=find_tool(PROGRAM) is not None)
    if wish == "tree" and limit:
        raise RecipeError(f"this disk cannot be made from the tree: {limit}", where="--assemble tree",
                          hint="use --assemble device, or change the block-device configuration")
    if limit:
        return Assembly(mode="device", reason=limit)
    script = script_that_needs_a_device(entries, phases)
    if wish == "tree":
        return Assembly(mode="tree", reason="it was asked for", warning=script and f"{script}, and there is none in "
                        "tree mode, which was asked for")
    if script:
        return Assembly(mode="device", reason=script)
    return Assembly(mode="tree", reason="no script needs a block device")


def script_that_needs_a_device(entries: Sequence[Entry], phases: Sequence[Phase]) -> str:
    """The first script that means a block device, as a clause with element, path and word; empty without one."""
    late = {phase.directory for phase in phases[_creation(phases):] if phase.mode is None}
    able = {entry.element for entry in entries if entry.target.split("/")[0] == f"{IMAGE_FILE_PHASE}.d"}
    folders = {phase.directory for phase in phases} | {"environment.d", "bin", "static"}
    for entry in entries:
        top, _, inside = entry.target.partition("/")
        if entry.is_dir or not inside or entry.element in able or (top in folders - late):
            continue
        word = _word_in(entry.source, _DEVICE_WORDS if top in late else _VARIABLE)
        if word:
            return f"{entry.target} of element {entry.element} uses {word}"
    return ""


def script_that_needs_loops(entries: Sequence[Entry], phases: Sequence[Phase]) -> str:
    """The first script on the host that may use loop devices before there is a disk, as a clause; empty without one."""
    early = {phase.directory for phase in phases[:_creation(phases)] if phase.where == "host"}
    for entry in entries:
        if not entry.is_dir and entry.target.split("/")[0] in early:
            word = _word_in(entry.source, _LOOP_WORDS)
            if word:
                return f"{entry.target} of element {entry.element} uses {word}"
    return ""


def _creation(phases: Sequence[Phase]) -> int:
    """The number of the phase after which the disk is made."""
    return next((number for number, phase in enumerate(phases) if "create-disk" in phase.after), len(phases))


def _word_in(path: Path, pattern: re.Pattern[bytes]) -> str:
    """The first match of `pattern` in a file of text, comments and removals left out; empty without one."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return ""
    if b"\0" in text:
        return ""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith(b"#") and not _REMOVAL.match(line))
    return next((found[0].decode() for found in map(pattern.search, lines) if found), "")
