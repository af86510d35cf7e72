"""The card of an export of weights: the code that loads them, and the names in the file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvision.exporters.card import introduction
from seqvision.exporters.keras_code import keras_code
from seqvision.exporters.torch_code import torch_code
from seqvision.exporters.weight_file import FILES
from seqvision.runs.saved_run import Run
from seqvision.weights.layers import Layers

_LIBRARIES = {"torch": "pytorch", "keras": "keras", "safetensors": "seqvision"}
_NEEDED = {
    "torch": "It needs torch, safetensors and numpy.",
    "keras": "It needs Keras 3, h5py, and a backend, which KERAS_BACKEND names (jax, torch or"
    " tensorflow).",
    "safetensors": "It needs safetensors and numpy.",
}
_ARRAYS = """\
from safetensors.numpy import load_file

arrays = load_file("model.safetensors")
"""
_EQUATIONS = {
    "lstm": (
        "Of the last axis of an LSTM's arrays, the quarters are the gates i, f, g, o. Each is"
        " `x @ input_kernel + h @ recurrent_kernel + bias`; then `c = sigmoid(f) * c + sigmoid(i) *"
        " tanh(g)` and `h = sigmoid(o) * tanh(c)`. The forget bias is in the bias."
    ),
    "gru": (
        "Of the last axis of a GRU's arrays, the thirds are the gates r, z, n. `r` and `z` are the"
        " sigmoid of `x @ input_kernel + h @ recurrent_kernel + bias`, `n = tanh(x @ input_kernel +"
        " bias + r * (h @ recurrent_kernel + candidate_bias))`, and `h = (1 - z) * n + z * h`."
    ),
    "gru_reset_before": (
        "Of the last axis of this GRU's arrays, the thirds are the gates r, z, n. `r` and `z` are"
        " the sigmoid of `x @ input_kernel + h @ recurrent_kernel + bias`, `n = tanh(x @"
        " input_kernel + bias + (r * h) @ recurrent_kernel)`, and `h = (1 - z) * n + z * h`."
    ),
}
_CNN = (
    "Kernels of the CNN are (height, width, in, out), its features in the order row, column,"
    " channel."
)


def weight_card(
    run: Run,
    facts: dict[str, Any],
    status: dict[str, Any],
    form: str,
    arrays: Mapping[str, np.ndarray],
    layers: Layers,
) -> str:
    """The card as Markdown.

    Args:
      run: the trained run.
      facts: see `description.describe_whole`.
      status: the run's `status.json`.
      form: one of `weight_file.FILES`.
      arrays: what is in the file.
      layers: of the network.
    """
    model, shape = run.settings.model, tuple(facts["inputs"]["shape"])
    code = {"torch": torch_code, "keras": keras_code}.get(form, lambda *_: _ARRAYS)
    text = [
        "---",
        f"library_name: {_LIBRARIES[form]}",
        "pipeline_tag: image-classification",
        f"tags: [seqvision, {model.cell}]",
        "---",
        "",
        *introduction(run, facts, status),
        "## In Python",
        "",
        _NEEDED[form],
        "",
        "```python",
        code(model, layers, shape).rstrip(),
        "```",
        "",
        f"## `{FILES[form]}`",
        "",
    ]
    if form == "safetensors":
        text += [_EQUATIONS[model.cell], "", *([_CNN, ""] if layers.convolutions else [])]
    text += ["| array | shape |", "|---|---|"]
    text += [f"| `{name}` | {' x '.join(map(str, a.shape))} |" for name, a in arrays.items()]
    return "\n".join([*text, ""])
