"""Live reading says what reading the whole line says, however the columns come."""

import json
import pickle
import shutil
import tracemalloc
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from benchmarks.checks import live_equals_offline
from benchmarks.speed import streaming
from configs import default
from seqvision.data.preprocessing import to_unit_range
from seqvision.data.sources.line_images import read_line
from seqvision.decoding import Decoded, greedy_decode
from seqvision.errors import UserError
from seqvision.inference.stream_events import Event
from seqvision.inference.stream_reader import StreamReader
from seqvision.inference.transcriber import Transcriber
from seqvision.models import create_reader
from seqvision.models.line_reader import LineReader
from seqvision.predict import predict_files
from seqvision.read import read_files
from seqvision.train import train_and_evaluate

HEIGHT, SYMBOLS = 6, tuple("01234 ")


class Network:
    """Random weights, so large that it says many different symbols."""

    def __init__(self, sequence: str = "columns", cell: str = "lstm", **fields: Any) -> None:
        options = {"hidden_size": 8, "delay": 3, "cnn_channels": (3, 4)} | fields
        self.model: LineReader = create_reader(
            num_classes=len(SYMBOLS) + 1, sequence=sequence, cell=cell, **options
        )
        self._logits = jax.jit(self.model.apply)
        rng = np.random.default_rng(5)
        shapes: Any = jax.eval_shape(
            self.model.init, jax.random.key(0), jnp.zeros((1, HEIGHT, 5, 1), jnp.float32)
        )
        self.params = jax.tree.map(
            lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes["params"]
        )
        # All classes are likely somewhere.
        self.params["classifier"]["bias"] -= self.logits(line_of(rng, 200)).mean(axis=0)

    def reader(self, num_streams: int = 1, **options: Any) -> StreamReader:
        options = {"height": HEIGHT, "letter_delay": 3} | options
        return StreamReader(self.model, self.params, SYMBOLS, num_streams=num_streams, **options)

    @cached_property
    def alone(self) -> StreamReader:
        """One for all tests that end the line; what it runs is compiled once."""
        return self.reader()

    @cached_property
    def four(self) -> StreamReader:
        return self.reader(num_streams=4)

    def logits(self, line: np.ndarray) -> np.ndarray:
        """Of the whole line at once: (columns + delay, K)."""
        inputs = to_unit_range(jnp.asarray(line[None, ..., None]))
        return np.asarray(self._logits({"params": self.params}, inputs))[0]

    def decoded(self, line: np.ndarray) -> Decoded:
        logits = self.logits(line)
        lengths = jnp.asarray([len(logits)], jnp.int32)
        decoded = greedy_decode(jax.nn.log_softmax(jnp.asarray(logits[None])), lengths)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[0], decoded)

    def text(self, line: np.ndarray) -> str:
        decoded = self.decoded(line)
        return "".join(SYMBOLS[number - 1] for number in decoded.symbols[: decoded.num_symbols])


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def line_of(rng: np.random.Generator, num_columns: int, repeats: int = 4) -> np.ndarray:
    """Noise that changes slowly: letters of several columns."""
    coarse = rng.integers(0, 256, (HEIGHT, num_columns // repeats + 1), np.uint8)
    return np.repeat(coarse, repeats, axis=1)[:, :num_columns]


def cuts_of(rng: np.random.Generator, num_columns: int) -> list[slice]:
    """A line in pieces of 0 to 9 columns, and now and then a long one."""
    sizes, left = [], num_columns
    while left:
        size = min(left, int(rng.integers(0, 10) if rng.random() < 0.9 else 90))
        sizes.append(size)
        left -= size
    ends = np.cumsum(sizes)
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def read(reader: StreamReader, line: np.ndarray, cuts: list[slice]) -> list[Event]:
    events = [event for cut in cuts for event in reader.push(line[:, cut])]
    return events + reader.finish()


def plain(events: list[Event]) -> list[tuple[Any, ...]]:
    """Events that are equal but for rounding, and for the number of the stream, are equal."""
    return [
        (e.symbol, e.columns, round(e.confidence, 4), e.final, e.ends_word, e.column)
        for e in events
    ]


def text_of(events: list[Event], final: bool = True) -> str:
    return "".join(event.symbol for event in events if event.final == final)


@pytest.mark.parametrize(("sequence", "cell"), [("columns", "lstm"), ("cnn_columns", "gru")])
def test_live_is_offline(rng: np.random.Generator, sequence: str, cell: str) -> None:
    network = Network(sequence, cell, num_layers=2)
    said: list[np.ndarray] = []
    reader = network.reader(on_logits=lambda stream, logits: said.append(logits))
    line = line_of(rng, 200)
    expected = network.text(line)
    assert len(expected) > 30
    assert len(set(expected)) > 3
    whole = network.logits(line)
    for _ in range(8):
        said.clear()
        events = read(reader, line, cuts_of(rng, 200))
        assert text_of(events) == text_of(events, final=False) == expected
        np.testing.assert_allclose(np.concatenate(said), whole, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("letter_delay", [0, 3])
def test_what_is_said_of_a_letter(
    network: Network, rng: np.random.Generator, letter_delay: int
) -> None:
    line = line_of(rng, 200)
    reader = network.reader(letter_delay=letter_delay) if letter_delay == 0 else network.alone
    events = read(reader, line, [slice(None)])
    decoded = network.decoded(line)
    count = int(decoded.num_symbols)
    begun = [event for event in events if not event.final]
    final = [event for event in events if event.final]
    np.testing.assert_array_equal([e.column for e in begun], decoded.starts[:count] + 1)
    # It is seen to have ended a column later, if there is one.
    seen = np.minimum(decoded.ends[:count] + 2, 200 + 3)
    np.testing.assert_array_equal([e.column for e in final], seen)
    np.testing.assert_allclose(
        [e.confidence for e in final], decoded.confidences[:count], atol=1e-4
    )
    shift = {0: 0, 3: 2}[letter_delay]
    ends = np.clip(decoded.starts[:count] - shift, 0, 199)
    for first, last in zip(begun, final, strict=True):
        assert first.columns == last.columns
        assert first.confidence <= last.confidence + 1e-6
        assert not first.ends_word
    np.testing.assert_array_equal([e.columns[1] for e in final], ends)
    begins = np.minimum([0, *ends[:-1] + 1], ends)
    np.testing.assert_array_equal([e.columns[0] for e in final], begins)
    assert " " in text_of(events)
    in_finish = final[-1].column > 200
    ends_word = [e.symbol == " " for e in final[:-1]] + [final[-1].symbol == " " or in_finish]
    assert [e.ends_word for e in final] == ends_word


def test_streams_side_by_side_are_as_if_alone(network: Network, rng: np.random.Generator) -> None:
    alone, together = network.alone, network.four
    lines = [[line_of(rng, int(n)) for n in rng.integers(1, 150, 3)] for _ in range(4)]
    expected = [[plain(read(alone, line, [slice(None)])) for line in own] for own in lines]
    found: list[list[list[Event]]] = [[] for _ in lines]
    left: list[list[np.ndarray]] = [[] for _ in lines]
    waiting = [list(own) for own in lines]
    while any(waiting) or any(left):
        for stream in rng.permutation(4).tolist():
            if not left[stream] and waiting[stream] and rng.random() < 0.5:
                left[stream] = [waiting[stream].pop(0)]
                found[stream].append([])
        batch, ending = {}, []
        for stream, rest in enumerate(left):
            if rest and rng.random() < 0.8:
                size = int(rng.choice([0, 1, 5, 8, 70]))
                batch[stream], after = rest[0][:, :size], rest[0][:, size:]
                left[stream] = [after] if after.shape[1] else []
                ending += [] if left[stream] else [stream]
        for event in together.push(batch) + together.finish(ending):
            found[event.stream][-1].append(event)
    assert [[plain(events) for events in own] for own in found] == expected


def test_saved_restored_and_reset(network: Network, rng: np.random.Generator) -> None:
    line = line_of(rng, 150)
    reader, other = network.alone, network.reader()
    expected = plain(read(reader, line, [slice(None)]))
    events = reader.push(line[:, :77])
    saved = pickle.dumps(reader.save())
    assert len(saved) < 4000
    reader.push(line[:, 9:31])
    other.push(line[:, 5:50])
    for fresh in (reader, other):
        fresh.restore(pickle.loads(saved))
        assert plain(events + fresh.push(line[:, 77:]) + fresh.finish()) == expected
    other.push(line[:, 20:40])
    other.reset()
    assert plain(read(other, line, [slice(None)])) == expected
    with pytest.raises(ValueError, match="the state is of 1 streams; this reader has 4"):
        network.four.restore(reader.save())
    with pytest.raises(ValueError, match="dict is no state of a reader"):
        reader.restore({})
    with pytest.raises(ValueError, match="the state is of another network"):
        reader.restore(reader.save()._replace(network="another's digest"))


def test_an_hour_of_columns_takes_no_memory(rng: np.random.Generator) -> None:
    reader = Network(hidden_size=2).reader(num_streams=20)
    columns = dict.fromkeys(range(20), line_of(rng, 1500, repeats=60))
    reader.push(columns)
    num_events = 0
    arrays = len(jax.live_arrays())
    tracemalloc.start()
    try:
        for turn in range(12):  # At 100 columns a second.
            events = reader.push(columns)
            num_events, column = num_events + len(events), events[-1].column
            if turn == 5:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert num_events > 1000
    assert after - before < 50_000
    assert len(jax.live_arrays()) <= arrays
    assert column > 17_000


def test_bad_columns_change_nothing(network: Network, rng: np.random.Generator) -> None:
    line = line_of(rng, 60)
    reader, four = network.alone, network.four
    expected = plain(read(reader, line, [slice(None)]))
    events = reader.push(line[:, :30, None])
    nan = np.full((HEIGHT, 2), np.nan)
    for columns, message in [
        (line[:-1], r"uint8 \(5, 60\); this run reads uint8 \(6, any number of columns\)"),
        (line.astype(np.float32), r"float32 \(6, 60\)"),
        (np.concatenate([line, nan], axis=1), "NaN in column 60"),
        (np.stack([line] * 3, axis=-1), "in colour"),
        (line[0], r"\(60,\)"),
        ({1: line}, "stream 1: this reader has streams 0 to 0"),
        ({"0": line}, "stream '0'"),
    ]:
        with pytest.raises(ValueError, match=message):
            reader.push(columns)
    assert reader.push(line[:, :0]) == reader.push(np.zeros((HEIGHT, 0))) == reader.push({}) == []
    assert plain(events + reader.push(line[:, 30:]) + reader.finish()) == expected
    with pytest.raises(ValueError, match="columns of which stream"):
        four.push(line)
    with pytest.raises(ValueError, match="stream 4"):
        four.push({0: line, 4: line})
    with pytest.raises(ValueError, match="stream -1"):
        four.finish(-1)
    assert plain(four.finish(0)) == plain(reader.finish())  # It had read nothing.
    with pytest.raises(ValueError, match="whole number from 1"):
        network.reader(num_streams=0)
    with pytest.raises(ValueError, match="both directions"):
        Network(bidirectional=True).reader()


# --- on a run of one's own ---

TEXTS = ("ab ba", "a", "bab a", "bb", "ab a b", "ba")


def drawn(text: str) -> np.ndarray:
    """Letters as bars, light on dark: a low, b high."""
    bars = {"a": slice(8, 14), "b": slice(2, 14), " ": slice(0)}
    line = np.zeros((16, 4 + 8 * len(text)), np.uint8)
    for place, letter in enumerate(text):
        line[bars[letter], 4 + 8 * place : 8 + 8 * place] = 255
    return line


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of lines, and a run of a few steps on it."""
    home = tmp_path_factory.mktemp("live")
    (home / "lines/images").mkdir(parents=True)
    for number, text in enumerate(TEXTS):
        image = Image.fromarray(255 - drawn(text))  # Dark ink on paper.
        image.save(home / f"lines/images/{number}.png")
    for split in ("train", "validation", "test"):
        rows = [f"{number}.png\t{text}\n" for number, text in enumerate(TEXTS)]
        part = rows[:4] if split == "train" else rows[4:5] if split == "validation" else rows[5:]
        (home / f"lines/labels.{split}.tsv").write_text("".join(part))
    config = config_of(home)
    assert train_and_evaluate(config, home / "run").status == "done"
    return home


def config_of(home: Path) -> ConfigDict:
    config = default.get_config()
    config.data.source, config.data.path = "lines", str(home / "lines")
    config.data.height = 16
    config.data.batch_size, config.data.eval_batch_size = 4, 4
    config.model.sequence, config.model.readout = "columns", "per_step"
    config.model.hidden_size = 16
    config.reading.delay = 4
    config.duration = "250 steps"
    config.optimizer.learning_rate = 1e-2
    config.optimizer.clip_norm = 1.0
    config.evaluate_every = config.checkpoint.every = "never"
    return config


def test_arrays_and_files_and_live_reading_agree(home: Path, tmp_path: Path) -> None:
    lines = [drawn(text) for text in TEXTS]
    whole = list(Transcriber.from_run(home / "run")(lines))
    assert len({said["text"] for said in whole}) > 3
    reader = StreamReader.from_run(home / "run")
    for line, said in zip(lines, whole, strict=True):
        final = [event for event in read(reader, line, [slice(None)]) if event.final]
        assert text_of(final) == said["text"]
        assert [event.columns[1] for event in final] == said["ends"].tolist()
        assert max(said["ends"]) < line.shape[1]
        np.testing.assert_allclose([e.confidence for e in final], said["confidences"], atol=1e-4)
    output = tmp_path / "said.jsonl"
    images = shutil.copytree(home / "lines/images", tmp_path / "images")
    (images / "6.png").write_bytes(b"no image")
    pattern = str(images / "*.png")
    assert predict_files(home / "run", pattern, str(output), "auto") == 1
    rows = [json.loads(row) for row in output.read_text().splitlines()]
    assert [row["text"] for row in rows[:-1]] == [said["text"] for said in whole]
    assert [row["ends"] for row in rows[:-1]] == [said["ends"].tolist() for said in whole]
    assert rows[-1]["text"] is None
    assert "no image" in rows[-1]["error"]
    assert predict_files(home / "run", pattern, str(tmp_path / "said.csv"), "auto") == 1
    with pytest.raises(ValueError, match=r"uint8 \(16, any number of columns\)"):
        next(Transcriber.from_run(home / "run")([lines[0][:, :0]]))


def test_a_long_line_beside_short_ones(home: Path) -> None:
    transcriber = Transcriber.from_run(home / "run")
    lines = [drawn("a"), drawn("ab ba" * 40), drawn("bb")]
    alone = [said for line in lines for said in transcriber([line])]
    assert [said["text"] for said in transcriber(lines)] == [said["text"] for said in alone]
    assert len(alone[1]["text"]) > 30


def test_reading_images_live(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    big = Image.fromarray(255 - drawn("bab a")).resize((2 * 44, 2 * 16))
    big.save(tmp_path / "0 big.png")
    Image.new("L", (50, 16), 255).save(tmp_path / "1 blank.png")
    (tmp_path / "2 broken.png").write_bytes(b"")
    assert read_files(home / "run", str(tmp_path / "*.png"), "auto") == 2
    line = read_line(tmp_path / "0 big.png", 16)
    assert line.shape == (16, 44, 1)
    [whole] = Transcriber.from_run(home / "run")([line])
    said, errors = capsys.readouterr()
    assert said.splitlines()[-1] == f"text  {whole['text']}"
    assert sum("begun" in line for line in said.splitlines()) == len(whole["text"]) > 1
    assert [line.split(": ")[2] for line in errors.splitlines()] == [
        "no ink stands out from its border",
        "it is no image, or a damaged one",
    ]
    # On a terminal.
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert read_files(home / "run", str(tmp_path / "0*.png"), "auto") == 0
    said, _ = capsys.readouterr()
    assert said.endswith(f"text  {whole['text']}\n")
    assert said.index("\x1b[?25l") < said.index("█") < said.index("\x1b[?25h")


def test_benchmarks(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.options.RESULTS", tmp_path)
    run = f"--workdir={home / 'run'}"
    assert live_equals_offline.main([run, "--name=equal"]) == 0
    equal = json.loads((tmp_path / "equal.json").read_text())
    assert equal["lines"] == 1
    assert equal["largest_difference_of_logits"] < 1e-5
    assert streaming.main([run, "--name=speed", "--streams=2", "--seconds=0.01"]) == 0
    cases = json.loads((tmp_path / "speed.json").read_text())["cases"]
    assert [(case["streams"], case["columns"]) for case in cases] == [(1, 1), (1, 8), (2, 8)]
    assert all(0 < case["p50_ms"] <= case["p99_ms"] for case in cases)
    with pytest.raises(UserError, match="there already"):
        streaming.main([run, "--name=speed"])


def test_runs_that_cannot_read_live(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run"):
        StreamReader.from_run(tmp_path)
    with pytest.raises(UserError, match="no file matches"):
        read_files(home / "run", str(tmp_path / "*.png"), "auto")
    config = config_of(home)
    config.model.bidirectional = True
    (tmp_path / "config.json").write_text(config.to_json())
    with pytest.raises(UserError, match="reads in both directions and needs the end of a line"):
        StreamReader.from_run(tmp_path)
    (tmp_path / "config.json").write_text(default.get_config().to_json())
    with pytest.raises(UserError, match="reads no text"):
        StreamReader.from_run(tmp_path)
