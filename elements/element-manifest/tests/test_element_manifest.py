"""The elements of an image, written down in it."""

import pytest


@pytest.mark.contract("C-269")
def test_all_elements_are_listed_one_a_line(fake_root, element):
    fake_root.like("debian-12")
    run = element("element-manifest").run("extra-data.d/75-inject-element-manifest",
                                          env={"IMAGE_ELEMENT": "base vm debian"})
    assert run.ok, run.output
    assert fake_root.read("/etc/dib-manifests/dib-element-manifest") == "base\nvm\ndebian\n"


def test_the_place_can_be_chosen(fake_root, element):
    fake_root.like("debian-12")
    run = element("element-manifest").run("extra-data.d/75-inject-element-manifest",
                                          env={"DIB_ELEMENT_MANIFEST_PATH": "/opt/list"})
    assert run.wrote == ("/opt/list",)
