"""The disk that block-device-efi-4k describes."""

from pathlib import Path

from pydib import blockdev

FILE = Path(__file__).parents[1] / "block-device-default.yaml"


def test_the_engine_reads_the_description():
    graph = blockdev.load(FILE.read_text(), root=blockdev.RootDefaults(), where=str(FILE))
    assert graph.main_image.sector_bytes == 4096
    assert "|".join(graph.answers.mount_points) == "/boot/efi|/"


def test_a_machine_that_cannot_boot_from_it_is_refused(kind_of_disk):
    assert kind_of_disk("block-device-efi-4k", "amd64").output.endswith("type: efi\n")
    refused = kind_of_disk("block-device-efi-4k", "ppc64el")
    assert refused.exit_code == 1 and "cannot boot from such a disk. Use the element" in refused.output
