"""The code of the card, run as it stands there, gives what seqvision gives."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.files.tones import Tones, in_channels
from seqvision.exporters import artefacts
from seqvision.exporters.card import card, introduction
from seqvision.exporters.check import Found
from seqvision.exporters.description import describe, describe_whole
from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_reader import StreamReader
from seqvision.models.parameters import on_host
from seqvision.runs.files import write_json
from seqvision.runs.saved_run import Run
from seqvision.tasks.from_config import input_shape
from tests.web.runs import classifier, digit_reader

MNIST = Path("seqvision/data/mnist")


@pytest.fixture(scope="module")
def digits() -> list[np.ndarray]:
    """Of the test set, each cut to its ink."""
    with gzip.open(MNIST / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:40]
    return [image[:, image.any(axis=0)] for image in images]


@pytest.fixture(autouse=True)
def _onnx_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "stablehlo", lambda *_: b"")


def written(run: Run, folder: Path) -> tuple[dict[str, Any], str]:
    """Writes the ONNX files and `network.json`; its facts and the card."""
    write_json(folder / "environment.json", {"seqvision": "0.1.9"})
    run, facts = dataclasses.replace(run, workdir=folder), describe(run)
    shape = input_shape(run.settings, run.data.input_shape)
    model: Any = run.model
    for file in artefacts.artefacts(model, on_host(run.params), shape, with_int8=False):
        (folder / file.name).write_bytes(file.content)
    write_json(folder / "network.json", facts)
    return facts, card(run, facts, {}, [], None, "test", 0)


def answers(text: str, inputs: np.ndarray, name: str) -> list[str]:
    """What each block says of these inputs, which are put in place of its zeros."""
    names: dict[str, Any] = {"mine": inputs}
    found = []
    for part in text.split("```python\n")[1:]:
        code = part.split("```")[0]
        zeros = [line for line in code.splitlines() if line.startswith("inputs = np.zeros(")]
        for line in zeros:
            code = code.replace(line, "inputs = mine")
        assert len(zeros) == (not found)
        exec(code, names)
        found.append(names.pop(name))
    return found


def test_lines_are_read_to_their_last_letter(
    digits: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = digit_reader()
    facts, text = written(run, tmp_path)
    assert facts["inputs"]["background"] == "dark" and "light ink on a dark background" in text
    assert "without them the last letters are lost" in text
    assert "Trained by seqvision 0.1.9" in text
    monkeypatch.chdir(tmp_path)
    reader, lasts = StreamReader(run), 0
    for first in range(0, 40, 8):
        gap = np.zeros((32, 3), np.uint8)
        line = gap
        for digit in digits[first : first + 8]:
            line = np.concatenate([line, np.pad(digit, ((2, 2), (0, 0))), gap], axis=1)
        line = line[:, :-3]  # It ends with its ink.
        begun = reader.text(reader.push(line))
        rest = reader.finish()
        events = reader.text(rest)
        lasts += bool(events)
        expected = begun + events
        assert len(expected) >= 6
        assert answers(text, line[None, :, :, None], "text") == [expected, expected]
    assert lasts  # Some letters come behind the end.


@pytest.mark.parametrize(
    "fields",
    [
        {"sequence": "rows"},
        {"sequence": "columns", "cell": "gru"},
        {"sequence": "pixels", "readout": "mean"},
        {"sequence": "rows", "readout": "per_step"},
        {"sequence": "cnn", "cnn_channels": (2, 3)},
        {"sequence": "rows", "bidirectional": True},
        {"sequence": "frames", "cnn_channels": (2, 3)},
        {"sequence": "frames", "cnn_channels": (2, 3), "readout": "per_step"},
    ],
)
def test_classes(
    rng: np.random.Generator, fields: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    shape = (12, 7, 8, 1) if fields["sequence"] == "frames" else (7, 8, 1)
    run = classifier(shape, **fields)
    facts, text = written(run, tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(5):
        inputs = rng.integers(0, 256, (1, *shape), np.uint8)
        [prediction] = Predictor(run)(inputs)
        label = run.data.class_names[prediction["classes"]]
        assert answers(text, inputs, "answer") == [label] * (2 if facts["steps"] else 1)


def test_windows_are_named(tmp_path: Path) -> None:
    run = classifier((12, 7, 8, 1), sequence="frames", cnn_channels=(2,))
    data = dataclasses.replace(run.settings.data, window=5, window_stride=2)
    run = dataclasses.replace(run, settings=dataclasses.replace(run.settings, data=data))
    facts, text = written(run, tmp_path)
    assert (facts["window"], facts["window_stride"]) == (5, 2)
    assert facts["inputs"]["shape"] == [5, 7, 8, 1]
    assert "A stream ends after 5 frames" in text and "begin every 2 frames" in text
    run = dataclasses.replace(run, workdir=tmp_path)
    row = artefacts.Checked("network.onnx", 9, Found(0.0, 0.25, 0), (0.1, 0.2))
    status = {"metrics": {"test": {"accuracy": 0.75}, "train": {}}}
    text = card(run, facts, status, [row], 0.25, "test", 4)
    assert "metrics: [{type: accuracy, value: 0.750000}]" in text
    assert "on the first windows, of 5 frames at most, of the 4 examples of the test split" in text
    assert "model-index" not in card(run, facts, status, [row], 0.25, "train", 4)


def test_the_range_of_deep_values_is_named(tmp_path: Path) -> None:
    run = classifier((7, 8, 3))
    tones = Tones((0, 80), "", ((-20, 180), (-800, 2000)), ("CT in HU, MONOCHROME1, signed",))
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, tones=tones))
    facts, text = written(run, tmp_path)
    run, inputs = dataclasses.replace(run, workdir=tmp_path), facts["inputs"]
    assert inputs["ranges"] == [[0, 80], [-20, 180], [-800, 2000]]
    recipe = f"`{inputs['formula']}` with low to high 0 to 80, -20 to 180, -800 to 2000"
    assert f"a value v becomes {recipe} (a channel for each)" in text
    assert "Of MONOCHROME1, take 255 minus that" in text
    assert recipe in "\n".join(introduction(run, describe_whole(run), {}))
    with pytest.raises(ValueError, match=r"is float32 .* 0 to 255; values v .* by round\(255"):
        next(Predictor(run)([np.zeros((7, 8, 3), np.float32)]))
    values = np.linspace(-900, 2100, 99, dtype=np.float32)[:, None]
    for number, (low, high) in enumerate(inputs["ranges"]):  # The formula, as it stands.
        names = {"v": values[:, 0], "low": low, "high": high, "clip": np.clip, "round": np.rint}
        found = eval(inputs["formula"], names)
        np.testing.assert_array_equal(in_channels(values, tones.ranges)[:, number], found)


@pytest.mark.parametrize(
    ("made", "change", "background"),
    [
        (digit_reader, {}, "dark"),
        (digit_reader, {"source": "lines"}, "dark"),
        (digit_reader, {"source": "lines", "invert": "never"}, "mixed"),
        (classifier, {"source": "moving_digits"}, "dark"),
        (classifier, {"source": "npz"}, "mixed"),
    ],
)
def test_what_the_network_wants_to_see(
    made: Callable[[], Run], change: dict[str, str], background: str
) -> None:
    """The facts about these data have `mixed`."""
    run = made()
    settings, source = run.settings, change.get("source", "digit_lines")
    lines = dataclasses.replace(settings.lines, invert=change.get("invert", "auto"))
    data = dataclasses.replace(settings.data, source=source)
    settings = dataclasses.replace(settings, data=data, lines=lines)
    facts = dataclasses.replace(run.data, background="mixed")
    run = dataclasses.replace(run, settings=settings, data=facts)
    assert describe(run)["inputs"]["background"] == background
