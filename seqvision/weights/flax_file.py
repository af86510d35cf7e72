"""Flax files: trees of arrays as `flax.serialization` writes them, in msgpack.

They are read with `msgpack`, which Flax needs, and not with Flax itself: that would take any
type of numpy by name, and lists of any announced length.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from seqvision.weights.refusals import reading, shown
from seqvision.weights.stored_arrays import StoredArray, StoredArrays, count, from_bfloat16

_ARRAY, _SCALAR = 1, 3
"""Numbers of msgpack's extension types in `flax.serialization`."""
_CHUNKED = "__msgpack_chunked_array__"
_TYPES = {
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32",
    "uint16", "uint8", "bool",
}  # fmt: skip
_LONGEST_LIST = 4096
_ERRORS = (
    msgpack.exceptions.UnpackException, KeyError, TypeError, AttributeError, RecursionError,
)  # fmt: skip


class FlaxFile:
    """The arrays of a tree.

    Attributes:
      arrays: by their paths, such as `params/lstm/hi/kernel`, in the order of the file.
      skipped: what else there is, by path: its type.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file: it is in memory while its arrays are used.

        Raises:
          UserError: the file is damaged.
        """
        stored, self.skipped = dict[str, StoredArray](), dict[str, str]()
        with reading(path, *_ERRORS):
            tree = msgpack.unpackb(
                path.read_bytes(),
                ext_hook=_array,
                max_array_len=_LONGEST_LIST,
                strict_map_key=False,
            )
            if not isinstance(tree, dict):
                raise ValueError("it holds no dict of arrays")
            for name, leaf in _leaves(tree, ""):
                if name in stored or name in self.skipped:
                    raise ValueError(f"{name} is in it twice")
                if isinstance(leaf, np.ndarray):
                    stored[name] = StoredArray(leaf.shape, leaf.dtype, leaf.copy)
                else:
                    self.skipped[name] = type(leaf).__name__
        self.arrays = StoredArrays(stored)


def _array(code: int, content: bytes) -> Any:
    """An extension type: shape, name of the type, bytes. Of others nothing is read."""
    if code not in (_ARRAY, _SCALAR):
        return msgpack.ExtType(code, b"")
    shape, name, values = msgpack.unpackb(content, raw=True, max_array_len=_LONGEST_LIST)
    count(shape := tuple(shape))
    kind = name.decode()
    if kind == "bfloat16":
        return from_bfloat16(np.frombuffer(values, np.uint8)).reshape(shape)
    if kind not in _TYPES:
        raise ValueError(f"an array of type {kind}")
    array = np.frombuffer(values, np.uint8 if kind == "bool" else np.dtype(kind).newbyteorder("<"))
    return array.reshape(shape).astype(kind, copy=False)


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Leaves and their paths. Arrays of more than 2^30 bytes are dicts of their pieces."""
    if not isinstance(tree, dict):
        yield path, tree
    elif _CHUNKED in tree:
        shape, chunks = (
            [tree[key][str(i)] for i in range(len(tree[key]))] for key in ("shape", "chunks")
        )
        count(tuple(shape))
        yield path, np.concatenate(chunks).reshape(shape)
    else:
        for key, value in tree.items():
            yield from _leaves(value, f"{path}/{shown(key)}" if path else shown(key))
