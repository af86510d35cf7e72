"""Pickles of PyTorch, read by a machine that can build dicts, lists, tensors and stand-ins only.

`pickle` imports and calls whatever a file names. This machine looks names up in a table of its own.
It refuses to call others; an object of another class becomes a stand-in, which holds its attributes
and can do nothing. Opcodes and arguments are parsed by `pickletools`, which calls nothing.
"""

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from seqvision.weights.refusals import refused, shown

BFLOAT16 = "bfloat16"


class Storage(NamedTuple):
    """Numbers in an entry of their own: `key` names it."""

    type_name: str
    key: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; `offset` and `strides` count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Object:
    """A stand-in for an object of a class that is not known, such as a module."""

    def __init__(self) -> None:
        self.attributes: dict[Any, Any] = {}


class _Named(NamedTuple):
    """What a name stands for: `call` gets the arguments; None where it is not in the table."""

    name: str
    call: Callable[..., Any] | None = None
    storage_type: str = ""


class _Mark:
    pass


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    def whole(value: Any) -> bool:
        return type(value) is int and value >= 0

    if not (
        isinstance(storage, Storage)
        and whole(offset)
        and all(isinstance(sizes, tuple) and all(map(whole, sizes)) for sizes in (shape, strides))
        and len(shape) == len(strides)
    ):
        raise ValueError("a tensor that is not described as PyTorch does")
    return Tensor(storage, offset, shape, strides)


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for pair in pairs:
        key, value = pair
        _set(result, key, value)
    return result


_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16, "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_NAMES = {
    "collections.OrderedDict": _Named("OrderedDict", _ordered_dict),
    "torch._utils._rebuild_tensor_v2": _Named("tensor", _rebuild_tensor),
    "torch._utils._rebuild_parameter": _Named("parameter", lambda tensor, *_: tensor),
    "torch.Size": _Named("Size", lambda sizes: tuple(sizes)),
    "torch.device": _Named("device", lambda *_: None),
    "builtins.set": _Named("set", lambda items=(): list(items)),
    "__builtin__.set": _Named("set", lambda items=(): list(items)),
} | {f"torch.{name}": _Named(name, None, kind) for name, kind in _STORAGES.items()}
_VALUES: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}  # fmt: skip
_ARGUMENTS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(path: Path, content: bytes) -> Any:
    """What a pickle holds: dicts, lists, tuples, numbers, texts, `Tensor`s and `Object`s.

    Args:
      path: named in errors.
      content: the pickle.

    Raises:
      UserError: it calls anything else.
      ValueError: it is damaged.
    """
    machine = _Machine(path)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its pickle is none of a state_dict ({error})") from None
    raise ValueError("its pickle has no end")


class _Machine:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Does what an opcode says."""
        stack = self.stack
        if name in _ARGUMENTS:
            stack.append(argument)
        elif name in _VALUES:
            stack.append(_VALUES[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in _TUPLES:
            stack.append(tuple(self._popped(_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("SETITEM", "SETITEMS"):
            items = self._popped(2) if name == "SETITEM" else self._since_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                _set(stack[-1], key, value)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self._popped(1) if name == "APPEND" else self._since_mark()
            if not isinstance(stack[-1], list):
                raise ValueError("its pickle appends to what is no list")
            stack[-1].extend(items)
        elif name == "GLOBAL":
            stack.append(_named(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            stack.append(_named(".".join(map(str, self._popped(2)))))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            called, arguments = self._popped(2)
            stack.append(self._call(called)(*arguments))
        elif name == "NEWOBJ":
            self._popped(2)
            stack.append(Object())
        elif name == "BUILD":  # Of a dict they are the versions of modules.
            [attributes] = self._popped(1)
            if isinstance(stack[-1], Object) and isinstance(attributes, dict):
                stack[-1].attributes = attributes
        elif name not in ("PROTO", "FRAME"):
            self._refuse(f"its pickle has an opcode {name}, which no state_dict needs")

    def _popped(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("too few values")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        items = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _call(self, called: Any) -> Callable[..., Any]:
        if not isinstance(called, _Named) or called.name in _STORAGES:
            raise ValueError("its pickle calls what is no function")
        return called.call or self._refuse(_asks_for(called))

    def _refuse(self, found: str) -> NoReturn:
        way_out = "save the weights alone: torch.save(model.state_dict(), ...), or as safetensors"
        raise refused(self._path, f"{found}; nothing of it was run", way_out)

    def _storage(self, identity: Any) -> Storage:
        kind, named, key, _, length, *view = identity  # None for a view, before PyTorch 1.6.
        if view not in ([], [None]):
            raise ValueError("its pickle has a storage that is a part of another one")
        if kind != "storage" or not isinstance(named, _Named) or not isinstance(key, str):
            raise ValueError("its pickle has a storage that is not described as PyTorch does")
        if not (named.storage_type or named.call):
            self._refuse(_asks_for(named))
        if not named.storage_type or type(length) is not int or length < 0:
            raise ValueError("its pickle has a storage of no known type and size")
        return Storage(named.storage_type, key, length)


def _asks_for(named: _Named) -> str:
    return f"its pickle asks for {shown(named.name)}, which is no part of a state_dict"


def _named(name: str) -> _Named:
    return _NAMES.get(name, _Named(name))


def _set(target: Any, key: Any, value: Any) -> None:
    if not isinstance(target, dict) or not isinstance(key, str | int):
        raise ValueError("its pickle sets an item of what is no dict of names")
    target[key] = value
