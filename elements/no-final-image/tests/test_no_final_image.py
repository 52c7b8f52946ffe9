"""Builds whose outcome is not a disk image."""

from pathlib import Path

from pydib import recipe
from pydib.build import prepare

ELEMENTS = Path(__file__).parents[2]


def test_disk_images_are_given_up_and_trees_are_not():
    asked = recipe.from_environment({"ELEMENTS_PATH": str(ELEMENTS)}, types=("qcow2", "tar"),
                                    elements=("debian-minimal", "no-final-image"))
    assert prepare(asked).outputs == ("tar",)
