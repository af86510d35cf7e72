"""PyTorch files (`.pt`, `.pth`): state_dicts and modules in the zip files of PyTorch 1.6 and later.

Of a module, such as `torch.save(model)` writes, its tensors are taken; its code is not in the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.weights.refusals import reading, refused, shown
from seqvision.weights.stored_arrays import StoredArray, StoredArrays, count, from_bfloat16
from seqvision.weights.torch_pickle import BFLOAT16, Object, Tensor, load
from seqvision.weights.zip_entries import StoredZip

PICKLE = "data.pkl"
# As the documentation and the well-known training programs call it.
_INSIDE = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network",
    "weights", "params",
)  # fmt: skip
_DEEPEST = 3
_LONGEST_NAME, _MOST_MODULES = 1000, 10**6


class TorchFile:
    """The tensors of a state_dict, or of a module.

    Attributes:
      arrays: by their names in it.
      skipped: what else it holds, by name: its type.
      inside: the keys that lead to it in what was saved, `state_dict` or `model.weights`; or "".
    """

    def __init__(self, path: Path) -> None:
        """Reads names and shapes; nothing that the file names is executed.

        Raises:
          UserError: the file is damaged, or is no state_dict.
        """
        self._path = path
        with reading(path):
            keys, state = self._found(self._opened())
            self.inside = shown(".".join(keys))
            tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)}
            self.skipped = {
                str(k): type(v).__name__ for k, v in state.items() if not isinstance(v, Tensor)
            }
            self.arrays = StoredArrays({k: self._stored(k, t) for k, t in tensors.items()})

    def _opened(self) -> Any:
        """What was saved, its tensors as `Tensor`s."""
        path = self._path
        self._zip = StoredZip(path)
        [pickle] = [name for name in self._zip.names if name.split("/")[1:] == [PICKLE]][:1]
        self._root = pickle.removesuffix(PICKLE)
        if f"{self._root}constants.pkl" in self._zip.names:
            raise refused(
                path,
                "a TorchScript program",
                "save its weights: torch.save(torch.jit.load(...).state_dict(), ...)",
            )
        order = f"{self._root}byteorder"
        if order in self._zip.names and self._zip.read(order) != b"little":
            raise refused(path, "not little-endian", "load and save it again on another machine")
        return load(path, self._zip.read(pickle))

    def _size(self, key: str) -> int:
        """Bytes of a storage."""
        return self._zip.size(f"{self._root}data/{key}")

    def _bytes(self, key: str) -> bytes:
        return self._zip.read(f"{self._root}data/{key}")

    def _found(self, saved: Any) -> tuple[tuple[str, ...], dict[Any, Any]]:
        """The dict of tensors, in dicts of dicts, and the keys that lead to it."""
        visits = iter(range(_MOST_MODULES))
        level: list[tuple[tuple[str, ...], Any]] = [((), _state_of(saved, visits))]
        seen: set[int] = set()  # A hostile pickle may hold a dict in itself.
        for _ in range(_DEEPEST):
            dicts = {
                id(value): (keys, value)
                for keys, value in level
                if isinstance(value, dict) and id(value) not in seen
            }
            seen |= dicts.keys()
            level = [
                ((*keys, str(k)), _state_of(v, visits))
                for keys, d in dicts.values()
                for k, v in d.items()
            ]
            inside = {keys[-1]: (keys, value) for keys, value in level if _is_state(value)}
            for name in _INSIDE:
                if name in inside:
                    return inside[name]
            found = [(keys, value) for keys, value in dicts.values() if _is_state(value)]
            if len(found) > 1:
                names = ", ".join(".".join(keys) for keys, _ in found[:5])
                raise refused(
                    self._path,
                    f"{len(found)} dicts of tensors: {shown(names)}",
                    "save the one that is meant: torch.save(model.state_dict(), ...)",
                )
            if found:
                return found[0]
        raise refused(self._path, "no tensors by name", "save torch.save(model.state_dict(), ...)")

    def _stored(self, name: str, tensor: Tensor) -> StoredArray:
        storage, kind = tensor.storage, tensor.storage.type_name
        dtype = np.dtype("float32" if kind == BFLOAT16 else kind)
        size = self._size(storage.key)
        if storage.length * (2 if kind == BFLOAT16 else dtype.itemsize) != size:
            raise ValueError(f"{name}: {storage.length} values of {kind} in {size} bytes")
        last = tensor.offset + sum(
            (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
        )
        values = count(tensor.shape)
        if values > storage.length or (values and last >= storage.length):
            raise ValueError(f"{name}: shape {tensor.shape} in {storage.length} values")
        return StoredArray(tensor.shape, dtype, lambda: self._read(tensor, dtype))

    def _read(self, tensor: Tensor, dtype: np.dtype) -> np.ndarray:
        with reading(self._path):
            stored = self._bytes(tensor.storage.key)
            if tensor.storage.type_name == BFLOAT16:
                values = from_bfloat16(np.frombuffer(stored, np.uint8))
            elif dtype.kind == "b":
                values = np.frombuffer(stored, np.uint8) != 0
            else:
                values = np.frombuffer(stored, dtype.newbyteorder("<")).astype(dtype, copy=False)
            if not count(tensor.shape):
                return np.zeros(tensor.shape, dtype)
            pairs = zip(tensor.shape, tensor.strides, strict=True)
            strides = [step * values.itemsize if size > 1 else 0 for size, step in pairs]
            view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
            return view.copy()


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(
        isinstance(v, Tensor) and isinstance(k, str) for k, v in value.items()
    )


def _state_of(value: Any, visits: Iterator[int]) -> Any:
    """The state_dict of a module, each module in it once; other values as they are.

    Raises:
      ValueError: there are more modules than `visits`, or they are in each other.
    """
    if not isinstance(value, Object):
        return value
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    todo = [("", value)]
    while todo:
        prefix, module = todo.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        held = {**_dict_of(module, "_parameters"), **_dict_of(module, "_buffers")}
        passing = module.attributes.get("_non_persistent_buffers_set")
        state |= {
            f"{prefix}{name}": tensor
            for name, tensor in held.items()
            if isinstance(tensor, Tensor) and not (isinstance(passing, list) and name in passing)
        }
        inside = [
            (f"{prefix}{name}.", child)
            for name, child in _dict_of(module, "_modules").items()
            if isinstance(child, Object)
        ]
        todo += reversed(inside)
        if next(visits, None) is None or len(prefix) > _LONGEST_NAME:
            raise ValueError("modules in modules without end")
    return state


def _dict_of(module: Object, name: str) -> dict[Any, Any]:
    found = module.attributes.get(name)
    return found if isinstance(found, dict) else {}
