"""Keras files: `.keras`, `.weights.h5`, and HDF5 files of whole models as Keras 2 saved them."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.weights.refusals import EXTRA, reading, refused, shown
from seqvision.weights.stored_arrays import StoredArray, StoredArrays, count
from seqvision.weights.zip_entries import StoredZip, Window

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_ERRORS = (KeyError, RuntimeError, TypeError, AttributeError, OverflowError, NotImplementedError)


class KerasFile:
    """The arrays of a model.

    Attributes:
      arrays: by their paths in the file, layers and weights in the order that it states; where it
        states none, as names with numbers are sorted.
      skipped: what else there is, by name: its type.
      config: of the model, parsed; None where the file has weights only.
    """

    def __init__(self, path: Path, is_zip: bool) -> None:
        """Reads names and shapes.

        Raises:
          UserError: the file is damaged, reaches into other files, or h5py is missing.
        """
        self._path, self._start, self._size = path, 0, path.stat().st_size
        self.config, self.skipped = None, dict[str, str]()
        if is_zip:
            entries = StoredZip(path)
            self.config = self._parsed(entries.read(CONFIG))
            self._start, self._size = entries.place(WEIGHTS)
        with self._opened() as root:
            if "model_config" in root.attrs:
                self.config = self._parsed(root.attrs["model_config"])
            found = self._walk(root, "", set())
            self.arrays = StoredArrays({name: self._stored(name, d) for name, d in found})

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import h5py
        except ImportError:
            raise refused(self._path, "reading Keras files needs h5py", EXTRA) from None
        with (
            reading(self._path, *_ERRORS),
            Window(self._path, self._start, self._size) as window,
            h5py.File(window, "r") as file,
        ):
            yield file

    def _parsed(self, text: Any) -> dict[str, Any]:
        with reading(self._path, RecursionError, TypeError):
            config = json.loads(text)
            if not isinstance(config, dict):
                raise ValueError("the config of the model is no JSON object")
            return config

    def _walk(self, group: Any, prefix: str, above: set[Any]) -> list[tuple[str, Any]]:
        """Datasets with numbers under a group, by their paths."""
        import h5py

        where = h5py.h5o.get_info(group.id)
        if where.addr in above:
            raise ValueError(f"the group {prefix} is in the file twice")
        above.add(where.addr)
        found: list[tuple[str, Any]] = []
        for name in _in_order(group, "layer_names"):
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise refused(
                    self._path,
                    f"{shown(prefix + name)} is a link, perhaps to another file",
                    "save the model again with Keras, which writes none",
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                found += self._walk(item, f"{prefix}{name}/", above)
            elif item.dtype.kind in "fiub" and item.shape is not None:
                found.append((prefix + name, item))
            else:
                self.skipped[prefix + name] = str(item.dtype)
        stated = [prefix + name for name in _stated(group, "weight_names")]
        return sorted(found, key=lambda pair: _place(pair[0], stated)) if stated else found

    def _stored(self, name: str, dataset: Any) -> StoredArray:
        shape, dtype = tuple(dataset.shape), dataset.dtype.newbyteorder("=")
        is_compressed = dataset.id.get_create_plist().get_nfilters() > 0
        if dataset.external or dataset.is_virtual or is_compressed:
            kind = "compressed" if is_compressed else "stored in other files"
            raise refused(
                self._path,
                f"{shown(name)} is {kind}, which Keras never does",
                "save the model again with Keras, or `h5repack -f NONE` it",
            )
        size = count(shape) * dtype.itemsize
        chunk = count(dataset.chunks or ()) * dtype.itemsize
        stored = dataset.id.get_storage_size()
        if size > min(stored, self._size) or chunk > self._size:
            raise ValueError(f"{name}: {size} bytes of shape {shape} in {stored} bytes")
        return StoredArray(shape, dtype, lambda: self._read(name, dtype))

    def _read(self, name: str, dtype: np.dtype) -> np.ndarray:
        with self._opened() as root:
            self._stored(name, root[name])  # The file may have been replaced.
            return np.asarray(root[name][()], dtype)


def _stated(group: Any, attribute: str) -> list[str]:
    names = group.attrs.get(attribute, ())
    return [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(names).tolist()]


def _in_order(group: Any, attribute: str) -> list[str]:
    stated = _stated(group, attribute)
    return sorted(group, key=lambda name: _place(name, stated))


def _place(name: str, stated: list[str]) -> tuple[int, list[tuple[int, str]]]:
    """As it is stated, then others by name, `lstm_2` before `lstm_10`."""
    parts = re.split(r"(\d+)", name)
    natural = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return stated.index(name) if name in stated else len(stated), natural
