"""zstd, by way of libzstd: the standard library of Python 3.11 has none, and a program per cluster would be slow."""

from __future__ import annotations

import ctypes
import functools

LIBRARY = "libzstd.so.1"
LEVEL = 3


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    found.ZSTD_compressBound.argtypes, found.ZSTD_compressBound.restype = [ctypes.c_size_t], ctypes.c_size_t
    found.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    found.ZSTD_compress.restype = ctypes.c_size_t
    found.ZSTD_isError.argtypes, found.ZSTD_isError.restype = [ctypes.c_size_t], ctypes.c_uint
    return found


def is_there() -> bool:
    """Whether the library can be used."""
    return _library() is not None


def compress(data: bytes) -> bytes:
    """`data` as one frame. Threads may do this at the same time.

    Raises:
        RuntimeError: there is no library, or no memory.
    """
    library = _library()
    if library is None:
        raise RuntimeError(f"there is no {LIBRARY}")
    room = library.ZSTD_compressBound(len(data))
    made = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(made, room, data, len(data), LEVEL)
    if library.ZSTD_isError(size):
        raise RuntimeError("zstd could not compress")
    return ctypes.string_at(made, size)
