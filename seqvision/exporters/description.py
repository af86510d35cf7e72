"""What a program that runs an exported network has to know: `network.json`."""

import dataclasses
from typing import Any

from seqvision.errors import UserError
from seqvision.exporters.onnx_network import Network
from seqvision.exporters.onnx_step import memory_of
from seqvision.models.line_reader import LineReader
from seqvision.models.steps import step_axis
from seqvision.runs.saved_run import Run


def describe(run: Run) -> dict[str, Any]:
    """Inputs, outputs and the memory between steps of a run's network, as plain values."""
    model: Any = run.model
    is_reader, settings, shape = isinstance(model, LineReader), run.settings, run.data.input_shape
    facts: dict[str, Any] = {
        "kind": "reader" if is_reader else "classifier",
        "inputs": {
            "name": "inputs",
            "dtype": "uint8",
            "shape": list(shape),
            "values": "0 to 255; the network divides by 255",
            "background": run.data.background,
        },
        "steps": step_name(model),
        "memory": [],
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
    if facts["steps"]:
        facts["memory"] = [dataclasses.asdict(part) for part in memory_of(model, shape)]
    return facts


def step_name(model: Network) -> str | None:
    """What a step of the network is, such as `rows`; None where it needs the whole input."""
    try:
        return step_axis(model)[1]
    except UserError:
        return None
