"""The smallest thing that boots: a disk whose first sector writes to the disk and prints a text. No kernel, no wait."""

from __future__ import annotations

SECTOR_BYTES = 512
_CODE = bytes.fromhex(
    "31c0 8ed8 8ec0"  # xor ax,ax; mov ds,ax; mov es,ax
    "b80103 b90200 b600 bb007c cd13"  # write this sector over the second one of the drive in dl: int 13h, ah=3
    "7210"  # jc hang: without the write there is no text
    "be307c"  # mov si,text (at 0x7c30)
    "ac 08c0 7406 b40e cd10 ebf5"  # each character of the text: int 10h, ah=0eh
    "90 90"
    "ebfe"  # hang: jmp hang
)
_TEXT_OFFSET = 0x30


def boot_disk(text: str, *, size_bytes: int = 1 << 20) -> bytes:
    """A raw disk that overwrites its second sector, which held `before`, and then prints `text` on the console.

    The text goes to the display; QEMU's BIOS sends it to the serial port when there is no graphics.
    """
    assert len(_CODE) <= _TEXT_OFFSET
    body = _CODE.ljust(_TEXT_OFFSET, b"\0") + text.encode("ascii") + b"\0"
    sector = body.ljust(SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
    assert len(sector) == SECTOR_BYTES
    return (sector + b"before").ljust(size_bytes, b"\0")
