"""A line reader of random weights, lines for it, and what it reads."""

from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from seqvision.config.validation import validate
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import Decoded, greedy_decode
from seqvision.inference.stream_events import Event
from seqvision.inference.stream_reader import StreamReader
from seqvision.models import create_reader
from seqvision.models.line_reader import LineReader
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.reading import TextReading

HEIGHT, SYMBOLS = 6, tuple("01234 ")


class Network:
    """A network of random weights, so large that its texts have many different symbols."""

    def __init__(self, sequence: str = "columns", cell: str = "lstm", **fields: Any) -> None:
        options = {"hidden_size": 8, "delay": 3, "cnn_channels": (3, 4)} | fields
        self.model: LineReader = create_reader(
            num_classes=len(SYMBOLS) + 1, sequence=sequence, cell=cell, **options
        )
        self.live_logits: list[np.ndarray] = []
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

    def reader(self, num_streams: int = 1, letter_delay: int = 3, **options: Any) -> StreamReader:
        config = default.get_config()
        config.model.sequence, config.model.readout = "columns", "per_step"
        config.data.source, config.reading.delay = "digit_lines", 3
        if letter_delay == 0:  # Lines whose columns are not known.
            config.data.source, config.data.path = "lines", "lines"
        facts = DataFacts("made", "1.0.0", (HEIGHT, 9, 1), SYMBOLS, "dark", {})
        settings, task = validate(config), TextReading(SYMBOLS, delay=3)
        run = Run(Path("run"), settings, facts, task, self.model, self.params, step=1, seed=0)
        return StreamReader(run, num_streams, **options)

    @cached_property
    def alone(self) -> StreamReader:
        """One for all tests that end the line. It adds to `live_logits`."""
        return self.reader(on_logits=self.listen, engine="numpy")

    @cached_property
    def in_onnxruntime(self) -> StreamReader:
        pytest.importorskip("onnxruntime")
        return self.reader(on_logits=self.listen, engine="onnxruntime")

    def listen(self, stream: int, logits: np.ndarray) -> None:
        self.live_logits.append(logits)

    @cached_property
    def four(self) -> StreamReader:
        return self.reader(num_streams=4, engine="numpy")

    @cached_property
    def four_in_onnxruntime(self) -> StreamReader:
        pytest.importorskip("onnxruntime")
        return self.reader(num_streams=4, engine="onnxruntime")

    @cached_property
    def twenty(self) -> StreamReader:
        return self.reader(num_streams=20, engine="jax")

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


class Rounded(float):
    """Equal to what differs by rounding alone."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(self - other) < 1e-5


def plain(events: list[Event]) -> list[tuple[Any, ...]]:
    """Events that are equal but for rounding, and for the number of the stream, are equal."""
    return [
        (e.symbol, e.columns, Rounded(e.confidence), e.final, e.ends_word, e.column) for e in events
    ]


def text_of(events: list[Event], final: bool = True) -> str:
    return "".join(event.symbol for event in events if event.final == final)
