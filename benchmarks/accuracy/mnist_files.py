"""The four MNIST files that ship with seqvision."""

import gzip
from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).parents[2] / "seqvision" / "data" / "mnist"
_STEMS = {"train": "train", "test": "t10k"}


def read_split(split: str) -> tuple[np.ndarray, np.ndarray]:
    """`train` or `test`: images (N, 28, 28) float32 in [0, 1], labels (N,) int32."""
    stem = _STEMS[split]
    # An IDX file: 4 bytes of type, then 4 for the size of each axis, then the data.
    images = _bytes(f"{stem}-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28)
    labels = _bytes(f"{stem}-labels-idx1-ubyte.gz", header=8)
    return images.astype(np.float32) / 255, labels.astype(np.int32)


def _bytes(name: str, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((_FOLDER / name).read_bytes()), np.uint8, offset=header)
