"""`vm` is only a name for two needs."""

from pathlib import Path


def test_vm_asks_for_a_disk_and_a_boot_loader():
    needs = (Path(__file__).parents[1] / "element-deps").read_text().split()
    assert needs == ["block-device", "bootloader"]
