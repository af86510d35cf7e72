"""What a program that runs an exported network has to know: `network.json`."""

import dataclasses
from typing import Any

from seqvision.config.data_schema import MADE_SOURCES
from seqvision.data.files.tones import FORMULA
from seqvision.errors import UserError
from seqvision.models.line_reader import LineReader
from seqvision.models.steps import step_axis
from seqvision.runs.saved_run import Run
from seqvision.tasks.from_config import input_shape, windows_of

_ACTIVATIONS = {
    "class": "softmax",
    "steps": "softmax",
    "labels": "sigmoid",
    "number": "offset + scale * logit",
}


def describe(run: Run) -> dict[str, Any]:
    """Inputs, outputs and the memory between steps of a run's network, as plain values."""
    from seqvision.onnx.step import memory_of  # It needs the extra `export`.

    model: Any = run.model
    steps, memory = step_name(model), []
    if steps:
        shape = input_shape(run.settings, run.data.input_shape)
        memory = [dataclasses.asdict(part) for part in memory_of(model, shape)]
    return describe_whole(run) | {"steps": steps, "memory": memory}


def describe_whole(run: Run) -> dict[str, Any]:
    """The same of a file that only reads whole inputs.

    Of a run on values of more than 8 bits, `inputs` has the `ranges` (low, high) of one channel or
    of each, the `formula` by which values become bytes, and which kinds are `inverted` after it.
    """
    settings, is_reader = run.settings, isinstance(run.model, LineReader)
    tones = run.data.tones
    shape = input_shape(settings, run.data.input_shape)
    facts: dict[str, Any] = {
        "kind": "reader" if is_reader else "classifier",
        "inputs": {
            "name": "inputs",
            "dtype": "uint8",
            "shape": list(shape),
            "values": "0 to 255; the network divides by 255",
            "background": _background(run),
        },
    }
    if tones.ranges:
        facts["inputs"] |= {
            "ranges": [list(one) for one in tones.ranges],
            "formula": FORMULA,
            "inverted": [kind for kind in tones.kinds if "MONOCHROME1" in kind],
        }
    if is_reader:
        facts |= {
            "symbols": list(run.data.class_names),
            "blank": 0,
            "delay": settings.reading.delay,
            "letter_delay": settings.letter_delay,
            "direction": settings.reading.direction,
            "looks": run.data.looks and dataclasses.asdict(run.data.looks),
        }
    else:
        facts |= {"classes": list(run.data.class_names), "readout": settings.model.readout}
        targets = run.data.targets
        facts |= {"target": targets.kind, "activation": _ACTIVATIONS[targets.kind]}
        if targets.kind == "number":
            facts |= {"offset": targets.offset, "scale": targets.scale}
    if windows := windows_of(settings):
        facts |= {"window": windows.size, "window_stride": windows.stride}
    return facts


def _background(run: Run) -> str:
    """What the network wants to see: `dark`, `light`, or `mixed`, as the training images were.

    The facts about a run's data have `mixed` for all whose files prediction takes as they are.
    """
    settings = run.settings
    is_ink = settings.reads_text and settings.lines.invert != "never"
    return "dark" if is_ink or settings.data.source in MADE_SOURCES else run.data.background


def step_name(model: Any) -> str | None:
    """What a step of the network is, such as `rows`; None where it needs the whole input."""
    try:
        return step_axis(model)[1]
    except UserError:
        return None
