"""The messages of libtiff, which Pillow leaves to the library: it prints them to stderr."""

import contextlib
import ctypes
import functools
from pathlib import Path


@functools.cache
def silence_libtiff() -> None:
    """Switches them off, once. A file that is damaged raises an error all the same.

    Seen in Pillow 13.0, whose wheels bring a libtiff of their own. Where none is found (outside
    Linux, or where it is linked into Pillow), it goes on printing.
    """
    with contextlib.suppress(OSError, AttributeError):
        rows = Path("/proc/self/maps").read_text().splitlines()
        for path in {row.split(maxsplit=5)[5] for row in rows if "libtiff" in row}:
            library = ctypes.CDLL(path)
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                handler = getattr(library, name)
                handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                handler(None)
