"""The size of an image and the options of its root filesystem, ours beside diskimage-builder's (C-224, C-225)."""

from __future__ import annotations

import random

import pytest

from pydib.blockdev import RootDefaults
from pydib.blockdev.filesystem import root_options
from pydib.sizes import GIB, image_size_kib
from tests.contract.compare import Family, ShellOracle


@pytest.mark.family("image size")
@pytest.mark.contract("C-224", "C-225")
def test_sizes_and_options(family: Family, shell_oracle: ShellOracle) -> None:
    dice = random.Random(11)
    for _ in range(150):
        tree = dice.choice((0, 1, 63, 64, 123457, *(dice.randint(10**power, 10**(power + 2)) for power in (1, 4, 7))))
        given = dice.choice(("", "", "1", "2.5", "10", "0.3", "100", "1.23456"))
        extra = dice.choice(("", "", "1", "500", "1.5", "0"))
        journal = dice.choice((None, None, 4, 128, 1024))
        fs_type, efi = dice.choice(("ext4", "ext4", "xfs", "btrfs")), dice.random() < 0.3
        resize, release = dice.choice(("", "274877906944")), dice.choice(("", "trusty", "bookworm"))
        options = dice.choice(("", "-m 1"))
        variables = {
            "TREE_KIB": tree, "DIB_IMAGE_SIZE": given, "DIB_IMAGE_EXTRA_SIZE": extra, "DIB_JOURNAL_SIZE": journal or "",
            "DIB_ROOT_FSTYPE": fs_type, "IMAGE_ELEMENT": "base vm my-block-device-efi" if efi else "base vm",
            "MAX_ONLINE_RESIZE": resize, "DIB_RELEASE": release, "MKFS_OPTS": options}
        text, code = shell_oracle.ask("image_size", "\n".join(f"{name}={value}" for name, value in variables.items()))
        assert code == 0, text
        size, words = text.split("|")
        root = RootDefaults(fs_type=fs_type, options=tuple(options.split()), journal_mib=journal or 64,
                            max_online_resize=resize, metadata_csum=release != "trusty")
        mine = image_size_kib(
            tree_kib=tree, given_gib=float(given) if given else None, extra_mib=float(extra) if extra else None,
            journal_mib=journal or 64, ext4_root=fs_type == "ext4", efi=efi)
        theirs = {"size": float(size), "options": _pairs(words.split())}
        words_of_ours = root_options(fs_type, root, 64 * GIB)
        family.compare(variables, theirs, {"size": float(mine), "options": _pairs(words_of_ours)})
    family.finish()


def _pairs(words: list[str] | tuple[str, ...]) -> list[tuple[str, str]]:
    """Options with their values; their order has no meaning here."""
    return sorted(zip(words[::2], words[1::2], strict=True))
