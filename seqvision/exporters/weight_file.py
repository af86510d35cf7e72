"""Weights of a classifier in one file: of PyTorch, of Keras, or with our own names and shapes."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seqvision.config.schema import Settings
from seqvision.errors import UserError
from seqvision.weights import fitting, keras_layers, own_layers, torch_layers
from seqvision.weights.source import open_source

FILES = {
    "torch": "model.safetensors",
    "keras": "model.weights.h5",
    "safetensors": "model.safetensors",
}
"""The file of each format."""
_FIELDS: dict[str, tuple[str | bool, ...]] = {
    "sequence": ("rows", "columns", "pixels", "permuted_pixels", "patches", "cnn"),
    "cell": ("lstm", "gru", "gru_reset_before"),
    "refine_gates": (False,),
    "readout": ("last", "mean", "max"),
}
# nn.GRU resets the hidden state after its product.
_FIELDS_OF: dict[str, dict[str, tuple[str | bool, ...]]] = {"torch": {"cell": ("lstm", "gru")}}
# What safetensors' readers tell the maker by.
_MAKERS = {"torch": "pt", "safetensors": "seqvision"}


def check_has_file(settings: Settings, form: str) -> None:
    """Raises UserError where a network has parts that the formats, one of `FILES`, have not."""
    if settings.reads_text:
        raise UserError(
            f"--format={form}: this run reads lines of writing, and the format is for classifiers;"
            " choose onnx or page"
        )
    for name, allowed in (_FIELDS | _FIELDS_OF.get(form, {})).items():
        value = getattr(settings.model, name)
        if value not in allowed:
            raise UserError(
                f"--format={form}: config.model.{name} of this run is {value}, and the format takes"
                f" {', '.join(map(str, allowed))}; choose onnx, which takes all"
            )


def write_file(
    path: Path, form: str, params: Mapping[str, np.ndarray], features: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    """Writes the weights, reads them back and compares them, bit by bit.

    Args:
      path: of the file.
      form: one of `FILES`.
      params: our parameters by name.
      features: (height, width, channels) of what a CNN hands on; None without one.

    Returns:
      What is in the file, by name.

    Raises:
      UserError: what was read back are other weights.
    """
    arrays = _arrays(form, params, features)
    # The libraries' own writing tells nothing of a full disk in a form that we explain.
    path.write_bytes(_content(form, arrays))
    _check(path, params, features)
    return arrays


def _arrays(
    form: str, params: Mapping[str, np.ndarray], features: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    layers = own_layers.read(params)
    if form == "torch":
        return torch_layers.write(layers, features)
    if form == "keras":
        return keras_layers.stored(layers)
    return {name: np.ascontiguousarray(array) for name, array in params.items()}


def _content(form: str, arrays: dict[str, np.ndarray]) -> bytes:
    if form == "keras":
        import h5py

        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        return content.getvalue()
    from safetensors.numpy import save

    return save(arrays, {"format": _MAKERS[form]})


def _check(path: Path, params: Mapping[str, np.ndarray], features: tuple[int, ...] | None) -> None:
    """Raises UserError where the file gives other parameters than these."""
    source = open_source(path)
    layers = fitting.READERS[source.kind]({name: source.arrays[name] for name in source.arrays})
    found = {name: part.array for name, part in own_layers.write(layers, features).items()}
    for name in sorted(params.keys() | found.keys()):
        read, array = found.get(name), params.get(name)
        if read is None or array is None or not _same_bits(read, array):
            raise UserError(
                f"{path.name}: what is read back of {name} is not the same bits; nothing was"
                " written. Please report it, with the run's config.json"
            )


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    is_like = (one.dtype, one.shape) == (other.dtype, other.shape)
    return is_like and one.tobytes() == other.tobytes()
