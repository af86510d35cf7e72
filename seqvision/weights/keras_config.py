"""Config of a Keras model: whether its layers compute what ours do, which weights do not tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqvision.errors import UserError
from seqvision.weights.refusals import shown

_RECURRENT = {
    "activation": ("tanh",),
    "recurrent_activation": ("sigmoid",),
    "go_backwards": (False,),
}
# Activations may be layers of their own. Strides and dilation are texts here, see `_plain`.
_ALLOWED: dict[str, dict[str, tuple[Any, ...]]] = {
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "Bidirectional": {"merge_mode": ("concat",)},
    "Conv2D": {
        "activation": ("relu", "linear"),
        "strides": ("[1, 1]",),
        "dilation_rate": ("[1, 1]",),
    },
    "Dense": {"activation": ("softmax", "linear")},
}


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError where a layer of a model computes something that no layer of ours does."""
    for kind, fields in _layers(config):
        for name, allowed in _ALLOWED.get(kind, {}).items():
            value = _plain(fields[name]) if name in fields else allowed[0]
            if value not in allowed:
                raise UserError(
                    f"the layer {shown(fields.get('name', kind))} ({kind}) has {name}"
                    f" {shown(value)}, and ours {' or '.join(map(str, allowed))}; no weights make"
                    " them equal"
                )


def _layers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Classes and configs of all layers, those inside others too."""
    todo: list[Any] = [config]
    while todo:
        found = todo.pop()
        if isinstance(found, list):
            todo += found
        elif isinstance(found, dict):
            kind, fields = found.get("class_name"), found.get("config")
            if isinstance(kind, str) and isinstance(fields, dict):
                yield kind, fields
            # That of a Bidirectional layer goes backwards indeed.
            todo += [value for key, value in found.items() if key != "backward_layer"]


def _plain(value: Any) -> Any:
    """A text or flag. Keras 3 may store a function as a dict with its name."""
    if isinstance(value, dict):
        value = value.get("config") or value.get("class_name")
    return value if isinstance(value, str | bool) else str(value)
