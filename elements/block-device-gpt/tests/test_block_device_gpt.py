"""The disk that block-device-gpt describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydib import blockdev

ELEMENT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", sorted(ELEMENT.glob("block-device-*.yaml")), ids=lambda path: path.name)
def test_the_engine_reads_the_description(path):
    graph = blockdev.load(path.read_text(), root=blockdev.RootDefaults(), where=str(path))
    assert graph.answers.root_label == "cloudimg-rootfs"
    assert graph.answers.root_fstype == "ext4"
    assert "|".join(graph.answers.mount_points) == "/"


def test_other_elements_learn_the_kind_of_disk(kind_of_disk):
    run = kind_of_disk("block-device-gpt", "amd64")
    assert run.ok, run.output
    assert run.output.splitlines()[-1] == "type: gpt"


def test_a_machine_that_cannot_boot_from_it_is_refused(kind_of_disk):
    run = kind_of_disk("block-device-gpt", "arm64")
    assert run.exit_code == 1
    assert "cannot boot from such a disk. Use the element" in run.output
