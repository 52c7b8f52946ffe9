"""What a disk image is as a file. These tests run the real qemu-img."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pydib.errors import InputError
from pydib.host.command import find_tool
from pydib.verify.image_file import image_file

pytestmark = pytest.mark.skipif(find_tool("qemu-img") is None, reason="qemu-img is not installed")


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk", "vdi"])
def test_format_and_sizes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk, with comma.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, path, "16M"], check=True)
    found = image_file(path)
    assert (found.format, found.virtual_size, found.path) == (kind, 16 * 2**20, path)
    assert found.disk_size < 2**20


@pytest.mark.parametrize(("content", "message"), [
    pytest.param(b"", "not a disk image", id="empty"),
    pytest.param(b"hello\n", "not a disk image", id="text"),
    pytest.param(b"QFI\xfb\x00\x00\x00\x03" + bytes(2000), "cannot be read", id="broken-qcow2"),
])
def test_what_is_no_image(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        image_file(tmp_path / "x")
    assert caught.value.where == str(tmp_path / "x")
    assert caught.value.hint


def test_nothing_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such disk image"):
        image_file(tmp_path / "x")
    with pytest.raises(InputError, match="not a file"):
        image_file(tmp_path)


@contextmanager
def without_roots_rights() -> Iterator[None]:
    """Root may read everything: be nobody for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # nobody may enter pytest's
        os.chmod(folder, 0o755)
        path = Path(folder, "x")
        path.write_bytes(bytes(512))
        path.chmod(0)
        with without_roots_rights(), pytest.raises(InputError, match="Permission denied") as caught:
            image_file(path)
        assert "permissions of the file" in caught.value.hint
