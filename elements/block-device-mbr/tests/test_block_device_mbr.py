"""The disk that block-device-mbr describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev

ELEMENT = Path(__file__).parents[1]


def disk_type(element, arch: str):
    """What a script sees as DIB_BLOCK_DEVICE."""
    under_test = element("block-device-mbr")
    script = under_test.hooks / "root.d/00-show"
    script.parent.mkdir()
    script.write_text('#!/bin/bash\necho "type: $DIB_BLOCK_DEVICE"\n')
    script.chmod(0o755)
    return under_test.run("root.d/00-show", env={"ARCH": arch})


@pytest.mark.parametrize("path", sorted(ELEMENT.glob("block-device-*.yaml")), ids=lambda path: path.name)
def test_the_engine_reads_the_description(path):
    graph = blockdev.load(path.read_text(), root=blockdev.RootDefaults(), where=str(path))
    assert graph.answers.root_label == "cloudimg-rootfs"
    assert graph.answers.root_fstype == "ext4"
    assert "|".join(graph.answers.mount_points) == "/"


def test_other_elements_learn_the_kind_of_disk(element):
    run = disk_type(element, "amd64")
    assert run.ok, run.output
    assert run.output.splitlines()[-1] == "type: mbr"


def test_a_machine_that_cannot_boot_from_it_is_refused(element):
    run = disk_type(element, "arm64")
    assert run.exit_code == 1
    assert "cannot boot from such a disk. Use the element" in run.output
