"""Safetensors files: arrays by name and nothing else (github.com/huggingface/safetensors)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from seqvision.weights.refusals import EXTRA, reading, refused
from seqvision.weights.stored_arrays import StoredArray, StoredArrays

_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "float32", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32",
    "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
# Flax's names for what PyTorch calls `weight`.
_FLAX_ENDINGS = {"kernel", "embedding", "scale"}
_FORMATS = {"pt": "torch", "flax": "flax", "seqvision": "seqvision"}


class SafetensorsFile:
    """The arrays of a file.

    Attributes:
      arrays: by name, in the order of the file.
      skipped: those of types that are not read, by name: the type.
      metadata: what the program that saved them added, texts by name.
    """

    def __init__(self, path: Path) -> None:
        """Reads names and shapes.

        Raises:
          UserError: the file is damaged, or the library is missing.
        """
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError:
            raise refused(path, "reading it needs safetensors", EXTRA) from None
        self._path, self._open, self._error = path, safe_open, SafetensorError
        stored, self.skipped = dict[str, StoredArray](), dict[str, str]()
        with reading(path, SafetensorError), safe_open(path, framework="numpy") as file:
            self.metadata: Mapping[str, str] = dict(file.metadata() or {})
            for name in file.offset_keys():
                part = file.get_slice(name)
                kind = part.get_dtype()
                if kind in _TYPES:
                    stored[name] = self._stored(name, tuple(part.get_shape()), kind)
                else:
                    self.skipped[name] = kind
        self.arrays = StoredArrays(stored)

    def _stored(self, name: str, shape: tuple[int, ...], kind: str) -> StoredArray:
        dtype = np.dtype(_TYPES[kind])

        def read() -> np.ndarray:
            import ml_dtypes  # noqa: F401  (gives numpy the type bfloat16)

            with (
                reading(self._path, self._error, TypeError),
                self._open(self._path, framework="numpy") as file,
            ):
                return file.get_tensor(name).astype(dtype, copy=False)

        return StoredArray(shape, dtype, read)


def framework(names: Iterable[str], metadata: Mapping[str, str]) -> str:
    """`torch`, `flax` or `seqvision`: as the file says, else as its arrays are called."""
    if metadata.get("format") in _FORMATS:
        return _FORMATS[metadata["format"]]
    endings = {name.replace("/", ".").rpartition(".")[2] for name in names}
    return "flax" if endings & _FLAX_ENDINGS and "weight" not in endings else "torch"
