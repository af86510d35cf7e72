"""What the page computes in JavaScript is what Python computes: letters, belief, ink, networks."""

import dataclasses
from typing import Any

import jax
import numpy as np
import onnxruntime
import pytest

from seqvision.exporters.onnx_step import memory_of, network_step
from seqvision.inference.stream_events import LineEvents
from seqvision.models import create_model, create_reader
from seqvision.web.streams import BeliefStream
from tests.exporters.test_onnx_network import random_params
from tests.web.node import RUNTIME, in_node, needs_node, needs_runtime

DECODE = """
const { LineEvents } = await import(page + "events.js");
return given.map(({ symbols, delay, pieces, empty }) => {
  const line = new LineEvents(symbols, delay);
  const lines = [0, 1].map(() => [...pieces.flatMap((piece) => line.read(piece)), ...line.finish(empty)]);
  if (JSON.stringify(lines[0]) !== JSON.stringify(lines[1])) throw new Error("a line is left over");
  return lines[0];
});
"""


def python_events(case: dict[str, Any], stream: int = 0) -> list[dict[str, Any]]:
    """As `StreamReader` makes them of logits."""
    line = LineEvents(stream, case["symbols"], case["delay"])
    width, events = len(case["symbols"]) + 1, []

    def read(logits: list[float], size: int | None) -> None:
        rows = np.array(logits, np.float32).reshape(-1, width)
        sums = np.exp(rows - rows.max(-1, keepdims=True)).sum(-1)
        events.extend(line.read(rows.argmax(-1).tolist(), (-np.log(sums)).tolist(), size))

    for piece in case["pieces"]:
        read(piece, None)
    size = line.state.num_columns
    read(case["empty"], size)
    events += line.finish(size)
    if events:
        events[-1] = dataclasses.replace(events[-1], ends_word=True)
    return [dataclasses.asdict(event) for event in events]


@needs_node
def test_letters_are_those_of_python(rng: np.random.Generator) -> None:
    cases = []
    for delay in (0, 1, 4, 7) * 10:
        width = int(rng.integers(2, 6))
        symbols = list("ab c"[: width - 1])

        def logits(n: int, width: int = width) -> list[float]:
            runs = np.repeat(rng.normal(size=(n, width)) * 3, rng.integers(1, 5, n), axis=0)
            return runs[:n].astype(np.float32).ravel().tolist()

        pieces = [logits(int(rng.integers(0, 30))) for _ in range(4)]
        cases.append(dict(symbols=symbols, delay=delay, pieces=pieces, empty=logits(delay)))
    cases.append(dict(symbols=["a"], delay=3, pieces=[], empty=[]))
    for found, case in zip(in_node(DECODE, cases), cases, strict=True):
        expected = python_events(case)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.pop("confidence") == pytest.approx(other.pop("confidence"), rel=1e-5)
            assert one == {**other, "columns": list(other["columns"])} - {"stream"} if False else (
                one == {k: list(v) if k == "columns" else v for k, v in other.items() if k != "stream"}
            )
