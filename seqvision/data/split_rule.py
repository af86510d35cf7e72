"""Which examples are held out: decided by what an example shows, not by its name or its place."""

import hashlib

import numpy as np

from seqvision.data.pixels import HostFrames, without_colour


def fraction_of(frames: HostFrames) -> float:
    """A number in [0, 1) from the SHA-256 of an example's frames, before they are resized.

    The same content has the same number under any name, in any file format, among any others.
    """
    frames = without_colour(frames)
    digest = hashlib.sha256(repr(frames.shape).encode())
    digest.update(np.ascontiguousarray(frames).data)
    return int.from_bytes(digest.digest()[:6], "big") / 2**48


def side_of(fraction: float, validation_fraction: float, test_fraction: float) -> str:
    """`test`, `validation` or `train`."""
    if fraction < test_fraction:
        return "test"
    return "validation" if fraction < test_fraction + validation_fraction else "train"
