"""Keras files: `.keras`, `.weights.h5`, and HDF5 files of whole models as Keras 2 saved them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.errors import UserError
from seqvision.weights.refusals import EXTRA, damaged, reading, refused
from seqvision.weights.stored_arrays import StoredArray, StoredArrays, count, from_file
from seqvision.weights.zip_entries import StoredZip

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_WALK = "seqvision.weights.hdf5_walk"
_MOST_SECONDS = 300
_ROOT = Path(__file__).parents[2]


class KerasFile:
    """The arrays of a model.

    Attributes:
      arrays: by their paths in the file, layers and weights in the order that it states; where it
        states none, as names with numbers are sorted.
      skipped: what else there is, by name: its type.
      config: of the model, parsed; None where the file has weights only.
      layers: the names of layers by the path of their variables, `layers/gru/vars`, where the file
        has both (Keras 3).
    """

    def __init__(self, path: Path, is_zip: bool) -> None:
        """Reads names and shapes.

        Raises:
          UserError: the file is damaged, reaches into other files, or h5py is missing.
        """
        self._path, self._start, self._size = path, 0, path.stat().st_size
        self.config = None
        if is_zip:
            entries = StoredZip(path)
            self.config = self._parsed(entries.read(CONFIG))
            self._start, self._size = entries.place(WEIGHTS)
        found = walked(path, self._start, self._size)
        if found["config"] is not None:
            self.config = self._parsed(found["config"])
        self.skipped, self.layers = found["skipped"], found["layers"]
        self.arrays = StoredArrays(
            {
                name: self._stored(tuple(shape), np.dtype(kind), offset)
                for name, shape, kind, offset in found["arrays"]
            }
        )

    def _parsed(self, text: str | bytes) -> dict[str, Any]:
        with reading(self._path, RecursionError, TypeError):
            config = json.loads(text)
            if not isinstance(config, dict):
                raise ValueError("the config of the model is no JSON object")
            return config

    def _stored(self, shape: tuple[int, ...], kind: np.dtype, offset: int) -> StoredArray:
        dtype = kind.newbyteorder("=")

        def read() -> np.ndarray:
            with reading(self._path):
                size = count(shape) * kind.itemsize
                content = from_file(self._path, self._start + offset, size)
                if kind.kind == "b":
                    return (content != 0).reshape(shape)
                return content.view(kind).reshape(shape).astype(dtype, copy=False)

        return StoredArray(shape, dtype, read)


def walked(path: Path, start: int, size: int) -> dict[str, Any]:
    """What `hdf5_walk.walk` says, from a process of its own, which may crash.

    Raises:
      UserError: it says that the file is damaged, or nothing; or h5py is missing.
    """
    if importlib.util.find_spec("h5py") is None:
        raise refused(path, "reading Keras files needs h5py", EXTRA)
    # Without -P it would take modules from the folder in which the user is.
    command = [sys.executable, "-P", "-m", _WALK, str(path.absolute()), str(start), str(size)]
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    try:
        result = subprocess.run(
            command, capture_output=True, timeout=_MOST_SECONDS, check=True, env=environment
        )
        found = json.loads(result.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise damaged(path, "the HDF5 library cannot read it") from None
    if "error" in found:
        raise UserError(found["error"].replace(str(path.absolute()), str(path), 1))
    return found
