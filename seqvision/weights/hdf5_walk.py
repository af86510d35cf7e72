"""Walk through an HDF5 file: names, types and places of its arrays, as JSON on standard output.

`keras_file` runs it as a process of its own: libhdf5 was seen to crash on damaged files. The values
are not read here; the other process reads them at their places.
"""

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.refusals import reading, refused, shown
from seqvision.weights.stored_arrays import count
from seqvision.weights.zip_entries import Window

MOST_MEMORY = 2**32
"""Bytes that the process may take."""
_ERRORS = (KeyError, RuntimeError, TypeError, AttributeError, OverflowError, NotImplementedError)


def walk(path: Path, start: int, size: int) -> dict[str, Any]:
    """What an HDF5 file holds.

    Args:
      path: the file that it is in.
      start: where it begins there.
      size: its bytes.

    Returns:
      `arrays`: names, shapes, types and offsets in the order that the file states, or else as names
      with numbers are sorted; `skipped`: types of other data by name; `layers`: attributes `name`
      of groups by their paths; `config`: the text of the model's config, or None.

    Raises:
      UserError: it is damaged, or reaches into other files.
    """
    import h5py

    with (
        reading(path, *_ERRORS),
        io.BufferedReader(Window(path, start, size)) as window,
        h5py.File(window, "r") as file,
    ):
        result = _Walk(path, size, h5py)
        arrays = result.under(file, "")
        config = file.attrs.get("model_config")
        return {
            "arrays": arrays,
            "skipped": result.skipped,
            "layers": result.layers,
            "config": config.decode() if isinstance(config, bytes) else config,
        }


class _Walk:
    def __init__(self, path: Path, size: int, h5py: Any) -> None:
        self._path, self._size, self._h5py = path, size, h5py
        self._seen: set[int] = set()
        self.skipped: dict[str, str] = {}
        self.layers: dict[str, str] = {}

    def under(self, group: Any, prefix: str) -> list[tuple[str, tuple[int, ...], str, int]]:
        """Arrays of numbers under a group: name, shape, type and offset."""
        address = self._h5py.h5o.get_info(group.id).addr
        if address in self._seen:
            raise ValueError(f"the group {prefix} is in the file twice")
        self._seen.add(address)
        if "name" in group.attrs:
            self.layers[prefix.removesuffix("/")] = str(group.attrs["name"])
        found = []
        layers = _stated(group, "layer_names")
        for name in sorted(group, key=lambda name: _place(name, layers)):
            if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
                raise refused(
                    self._path,
                    f"{shown(prefix + name)} is a link, perhaps to another file",
                    "save the model again with Keras, which writes none",
                )
            item = group[name]
            if isinstance(item, self._h5py.Group):
                found += self.under(item, f"{prefix}{name}/")
            elif item.dtype.kind in "fiub" and item.shape is not None:
                found.append(self._described(prefix + name, item))
            else:
                self.skipped[prefix + name] = str(item.dtype)
        stated = [prefix + name for name in _stated(group, "weight_names")]
        return sorted(found, key=lambda array: _place(array[0], stated)) if stated else found

    def _described(self, name: str, dataset: Any) -> tuple[str, tuple[int, ...], str, int]:
        is_compressed = dataset.id.get_create_plist().get_nfilters() > 0
        if dataset.external or dataset.is_virtual or dataset.chunks or is_compressed:
            kind = "in other files" if dataset.external or dataset.is_virtual else "in chunks"
            how = "compressed" if is_compressed else kind
            raise refused(
                self._path,
                f"{shown(name)} is stored {how}, which Keras never does",
                "save the model again with Keras, or `h5repack -f NONE -l CONTI` it",
            )
        shape = tuple(dataset.shape)
        size, offset = count(shape) * dataset.dtype.itemsize, dataset.id.get_offset()
        if size and (offset is None or offset + size > self._size):
            raise ValueError(f"{name}: {size} bytes of shape {shape}, which are not in the file")
        return name, shape, dataset.dtype.str, offset or 0


def _stated(group: Any, attribute: str) -> list[str]:
    names = group.attrs.get(attribute, ())
    return [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(names).tolist()]


def _place(name: str, stated: list[str]) -> tuple[int, list[tuple[int, str]]]:
    """As it is stated, then others by name, `lstm_2` before `lstm_10`."""
    parts = re.split(r"(\d+)", name)
    natural = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return stated.index(name) if name in stated else len(stated), natural


def main(path: str, start: str, size: str) -> None:
    """Writes the walk, or the line about what is wrong, as JSON."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Not on every system.
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    try:
        found = walk(Path(path), int(start), int(size))
    except UserError as error:
        found = {"error": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
