"""The disk that block-device-efi-4k describes."""

from pathlib import Path

from pydib import blockdev

FILE = Path(__file__).parents[1] / "block-device-default.yaml"


def test_the_engine_reads_the_description():
    graph = blockdev.load(FILE.read_text(), root=blockdev.RootDefaults(), where=str(FILE))
    assert graph.main_image.sector_bytes == 4096
    assert "|".join(graph.answers.mount_points) == "/boot/efi|/"


def test_a_machine_that_cannot_boot_from_it_is_refused(element):
    under_test = element("block-device-efi-4k")
    script = under_test.hooks / "root.d/00-show"
    script.parent.mkdir()
    script.write_text('#!/bin/bash\necho "type: $DIB_BLOCK_DEVICE"\n')
    script.chmod(0o755)
    assert under_test.run("root.d/00-show", env={"ARCH": "amd64"}).output == "type: efi\n"
    assert under_test.run("root.d/00-show", env={"ARCH": "ppc64el"}).exit_code == 1
