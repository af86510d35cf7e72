"""What the page computes in JavaScript is what Python computes: letters, ink, networks."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import onnxruntime
import pytest

from seqvision.exporters.description import describe
from seqvision.inference import stream_reader
from seqvision.inference.stream_network import StreamNetwork
from seqvision.models.line_reader import LineReader
from seqvision.onnx.network import whole_network
from seqvision.onnx.step import network_step
from seqvision.runs.saved_run import Run
from tests.web.node import RUNTIME, in_node, needs_node, needs_runtime
from tests.web.runs import classifier, digit_reader

DECODE = """
const { LineEvents } = await import(page + "events.js");
return given.map(({ symbols, delay, pieces, empty }) => {
  const line = new LineEvents(symbols, delay);
  const read = () => [...pieces.flatMap((piece) => line.read(piece)), ...line.finish(empty)];
  read(); // Of which nothing is left in the next line.
  return read();
});
"""


class Given(StreamNetwork):
    """A network whose logits are given, one after another."""

    def __init__(self, logits: np.ndarray) -> None:
        self._logits, self.memory = logits, ()

    def size_of(self, num_steps: int) -> int:
        return num_steps

    def read(self, steps: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        now, self._logits = np.split(self._logits, [steps.shape[2]])
        return now[None]

    def start(self, streams: list[int]) -> None:
        pass


def python_events(
    run: Run, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Those of a `StreamReader` whose network gives these logits."""
    symbols, delay, model = tuple(case["symbols"]), case["delay"], run.model
    assert isinstance(model, LineReader)
    settings = dataclasses.replace(
        run.settings, reading=dataclasses.replace(run.settings.reading, delay=delay)
    )
    own = dataclasses.replace(
        run,
        settings=settings,
        data=dataclasses.replace(run.data, class_names=symbols),
        model=model.clone(delay=delay),
    )
    pieces = [np.reshape(logits, (-1, len(symbols) + 1)) for logits in case["pieces"]]
    empty = np.reshape(case["empty"], (-1, len(symbols) + 1))
    network = Given(np.concatenate([*pieces, empty]).astype(np.float32))
    monkeypatch.setattr(stream_reader, "create_network", lambda *_: network)
    reader = stream_reader.StreamReader(own)
    events = [
        event for part in pieces for event in reader.push(np.zeros((32, len(part)), np.uint8))
    ]
    return [event._asdict() for event in events + reader.finish()]


@needs_node
def test_letters_are_those_of_python(
    reader: Run, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[dict[str, Any]] = [{"symbols": ["a"], "delay": 3, "pieces": [], "empty": []}]
    for delay in (0, 1, 4, 7) * 10:
        width = int(rng.integers(2, 6))

        def logits(n: int, width: int = width) -> list[float]:
            runs = np.repeat(rng.normal(size=(n, width)) * 3, rng.integers(1, 5, n), axis=0)
            return runs[:n].astype(np.float32).ravel().tolist()

        cases.append(
            {
                "symbols": list("ab c"[: width - 1]),
                "delay": delay,
                "pieces": [logits(int(rng.integers(0, 30))) for _ in range(4)],
                "empty": logits(delay),
            }
        )
    for found, case in zip(in_node(DECODE, cases), cases, strict=True):
        expected = python_events(reader, case, monkeypatch)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.pop("confidence") == pytest.approx(other.pop("confidence"), rel=1e-5)
            del other["stream"]
            assert one == other | {"columns": list(other["columns"])}


INK = """
const { Ink } = await import(page + "ink.js");
const ink = new Ink(12, 20, 1.5);
const changed = [ink.begin(4.5, 3.5), ink.move(9.5, 3.5), ink.begin(15.5, 8.5)];
const before = [...ink.pixels];
changed.push(ink.begin(2.5, 10), ink.move(40, -7), ink.undo());
const isBack = before.every((value, at) => value === ink.pixels[at]);
return { changed, isBack, pixels: before, end: ink.end, inked: [3, 12].map((x) => ink.hasInk(x)) };
"""


@needs_node
def test_ink_is_as_thick_as_the_pen_and_undone_to_the_pixel() -> None:
    found = in_node(INK, None)
    assert found["changed"] == [2, 2, 13, 0, 0, 0]
    assert found["isBack"]
    # It was rounded to whole pixels: one of 1.5 rows around its middle is black, half of the next.
    columns = np.array(found["pixels"]).reshape(20, 12)
    assert columns[7].tolist() == [0, 0, 255, 255, 255, *[0] * 7]
    assert (columns[15, 6:11] > 0).sum() == 3
    assert (found["end"], found["inked"]) == (17, [True, False])


RUN = """
const ort = await import(given.runtime);
ort.env.wasm.numThreads = 1;
const { OnnxEngine } = await import(page + "onnx_engine.js");
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const all = [];
for (const { facts, content, pieces } of given.networks) {
  const engine = await OnnxEngine.load(ort, facts, bytes(content));
  let found;
  for (let round = 0; round < 2; round++) { // The second time, after a reset.
    found = [];
    await engine.reset();
    for (const [text, n] of pieces) found.push(...await engine.logits(bytes(text), n));
  }
  all.push(found);
}
return all;
"""


def with_inputs(run: Run, rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray]:
    """A network with inputs in pieces, and the logits of onnxruntime in Python."""
    facts = describe(run)
    shape, params = run.data.input_shape, jax.tree.map(np.asarray, run.params)
    axis = 1 if facts["steps"] == "columns" else 0
    inputs = rng.integers(0, 256, shape, np.uint8)
    build = network_step if facts["steps"] else whole_network
    content = build(run.model, params, shape).model().SerializeToString()
    named = {"inputs": inputs[None]}
    if facts["steps"]:
        starts = {p["name"]: np.full((1, *p["shape"]), p["start"]) for p in facts["memory"]}
        named |= {name: start.astype(np.float32) for name, start in starts.items()}
        named["lengths"] = np.array([shape[axis]], np.int32)
    expected = onnxruntime.InferenceSession(content).run(["logits"], named)[0]
    pieces = np.array_split(np.moveaxis(inputs, axis, 0), 3) if facts["steps"] else [inputs]
    given = {
        "facts": facts,
        "content": base64.b64encode(content).decode(),
        "pieces": [(base64.b64encode(piece.tobytes()).decode(), len(piece)) for piece in pieces],
    }
    return given, expected


@needs_node
@needs_runtime
def test_the_networks_of_the_page_are_those_of_python(rng: np.random.Generator) -> None:
    runs = [
        digit_reader(),
        classifier((9, 8, 1), sequence="rows", cell="gru", readout="mean"),
        classifier((9, 8, 3), sequence="columns"),
        classifier((4, 9, 8, 1), sequence="frames", cnn_channels=(2,)),
        classifier((9, 8, 1), sequence="rows", bidirectional=True),
    ]
    networks = [with_inputs(run, rng) for run in runs]
    runtime = (RUNTIME / "dist" / "ort.wasm.min.mjs").resolve().as_uri()
    given = {"runtime": runtime, "networks": [network for network, _ in networks]}
    for found, (_, expected) in zip(in_node(RUN, given), networks, strict=True):
        np.testing.assert_allclose(np.array(found), expected.ravel(), atol=2e-5)
