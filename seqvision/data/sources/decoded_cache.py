"""Decoded arrays of a data set in one file, so that the next start loads them in a moment."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.config.user_path import expanded, user_cache
from seqvision.data.dataset import ArraySplit, Dataset
from seqvision.data.sources.npz_memory_map import read_member
from seqvision.errors import UserError
from seqvision.runtime.atomic_write import write_atomically
from seqvision.runtime.regular_file import open_regular

# To be raised when the arrays made of the same files change.
_VERSION = 2


def cache_folder(cache_dir: str) -> Path:
    """`cache_dir`, or the user's cache folder where it is ""."""
    folder = expanded(cache_dir, "config.data.cache_dir") if cache_dir else user_cache()
    if folder is None:
        raise UserError(
            "config.data.cache_dir: no home folder is known here (HOME is not set); name a folder"
        )
    return folder


class DamagedCacheError(Exception):
    """The cache file is not what was written."""


def cache_path(
    cache_dir: Path, name: str, prepared: Path, size: tuple[int, int, int] = (0, 0, 0)
) -> Path:
    """The cache file of the prepared TFDS folder `prepared`; another one when its files change.

    `size` is the height, width and channels that its images were scaled to, 0 as they are.
    """
    files = sorted(path for path in prepared.iterdir() if path.is_file())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(repr((_VERSION, str(prepared.resolve()), stats)).encode()).hexdigest()[:16]
    scaled = f"-{'x'.join(map(str, size))}" if any(size) else ""
    return cache_dir / f"{name.replace('/', '-').replace(':', '-')}{scaled}-{key}.npz"


def read_cache(path: Path) -> Dataset:
    """Reads what `write_cache` wrote.

    Raises:
      FileNotFoundError: there is no such file.
      DamagedCacheError: it is cut short or altered: a fingerprint does not match.
    """
    try:
        # Opened here: np.load leaves a damaged file open.
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            meta = json.loads(str(arrays["meta"]))
            splits = {
                split: ArraySplit(
                    read_member(file, arrays.zip, f"{split}_images"),
                    read_member(file, arrays.zip, f"{split}_labels"),
                )
                for split in ("train", "test")
            }
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # zipfile and numpy raise many kinds for what they cannot read.
        raise DamagedCacheError(f"{path}: {error}") from error
    fingerprints = {name: split.fingerprint() for name, split in splits.items()}
    if fingerprints != meta["fingerprints"]:
        raise DamagedCacheError(f"{path}: its checksum does not match")
    class_names, input_shape = tuple(meta["class_names"]), splits["train"].inputs.shape[1:]
    return Dataset(meta["name"], meta["version"], class_names, splits, input_shape, fingerprints)


def write_cache(path: Path, dataset: Dataset) -> None:
    """Writes the file whole or not at all.

    Raises:
      OSError: the folder cannot be written, or the disk is full.
    """
    stored = ("name", "version", "class_names", "fingerprints")
    meta = {name: getattr(dataset, name) for name in stored}
    arrays: dict[str, Any] = {
        f"{name}_{kind}": array
        for name, split in dataset.splits.items()
        if isinstance(split, ArraySplit)
        for kind, array in zip(("images", "labels"), split.arrays.values(), strict=True)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: np.savez(file, meta=np.array(json.dumps(meta)), **arrays))
