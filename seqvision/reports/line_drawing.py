"""A line of writing as it was read: letters, spikes and alignments under the ink."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import align, letter_ends
from seqvision.reports.pictures import data_uri
from seqvision.reports.symbols import ReadLine, visible
from seqvision.runs.saved_run import Run
from seqvision.tasks.reading import TextReading

_GUTTER, _UNIT = 6.0, 2.0
"""Units to the left of the line, for half a letter, and of a column."""
_TICKS = 50
_SPIKE = 40.0
_LEAST = 0.01


class Letter(NamedTuple):
    """A letter that was read or is written.

    Attributes:
      x: of its middle.
      text: the symbol, a space as ␣.
      is_right: whether it was read as it is written.
      end: x of the place where its ink is taken to end; None where that is not known.
    """

    x: float
    text: str
    is_right: bool
    end: float | None = None


class LineDrawing(NamedTuple):
    """A drawing of a line; all lengths are in the units of its view box.

    Attributes:
      line: what it is of.
      columns_read, columns_written: of the symbols of its two texts, from 0; a text that cannot be
        aligned has negative ones.
      width, height: of the view box.
      picture: x, y, width and height of the line.
      address: of the picture, `data:`.
      spikes: paths, and whether the symbol is right.
      base: y of the feet of the spikes.
      ticks: x of some columns, and their numbers.
      read, written: the letters below.
    """

    line: ReadLine
    columns_read: list[int]
    columns_written: list[int]
    width: float
    height: float
    picture: tuple[float, float, float, float]
    address: str
    spikes: list[tuple[str, bool]]
    base: float
    ticks: list[tuple[float, int]]
    read: list[Letter]
    written: list[Letter]


def draw_lines(run: Run, split: Split, numbers: Sequence[int]) -> list[LineDrawing]:
    """Reads lines of a split by their numbers, and draws how each was read.

    All stands as it does in the picture, from left to right, whatever the direction of the text.
    """
    task = run.task
    assert isinstance(task, TextReading)
    batch = split.read(np.array(numbers, np.int32))
    lengths = jnp.asarray(batch["lengths"])

    @jax.jit
    def log_probs_of(params: Any, inputs: Any) -> Any:
        logits: Any = run.model.apply({"params": params}, to_unit_range(inputs), lengths)
        return jax.nn.log_softmax(logits)

    log_probs = log_probs_of(run.params, batch["inputs"])
    decoded = jax.device_get(task.decoder()(log_probs, lengths))
    texts, counts = jnp.asarray(batch["labels"]), jnp.asarray(batch["label_lengths"])
    aligned = jax.device_get(align(log_probs, lengths + task.delay, texts, counts))
    probabilities = np.exp(np.asarray(log_probs))
    alphabet, drawings = Alphabet(task.symbols, task.direction), []
    for index in range(len(numbers)):
        kept, written = task.read_symbols(decoded, index), slice(int(counts[index]))
        symbols, labels = decoded.symbols[index, kept], batch["labels"][index, written]
        length = int(lengths[index])
        starts, ends = decoded.starts[index, kept], decoded.ends[index, kept]
        middles = (starts + ends) / 2
        true_middles = (aligned.starts + aligned.ends)[index, written] / 2
        # Texts are in the order in which they are typed, and drawn as they stand.
        (text, order), (truth, true_order) = alphabet.read(symbols), alphabet.read(labels)
        line = ReadLine(text, truth, decoded.confidences[index, kept][order])
        right, found = np.zeros(len(text), bool), np.zeros(len(truth), bool)
        for pair in line.pairs:
            if pair.is_right:
                right[order[pair.place_read]] = found[true_order[pair.place_written]] = True
        ink = letter_ends(starts, task.letter_delay, length) if task.letter_delay else None
        drawings.append(
            _drawing(
                line,
                (middles[order], true_middles[true_order]),
                batch["inputs"][index, :, :length],
                length + task.delay,
                _spikes(probabilities[index, : length + task.delay], symbols, starts, ends, right),
                _letters(task.symbols, symbols, right, middles, ink),
                _letters(task.symbols, labels, found, true_middles, None),
            )
        )
    return drawings


def _letters(
    alphabet: Sequence[str],
    symbols: np.ndarray,
    right: np.ndarray,
    columns: np.ndarray,
    ends: np.ndarray | None,
) -> list[Letter]:
    """Letters below their columns; none that has no column, since its text cannot be aligned."""
    return [
        Letter(
            _x(float(column)),
            visible(alphabet[symbol - 1]),
            bool(is_right),
            None if ends is None else _x(float(ends[place])),
        )
        for place, (symbol, is_right, column) in enumerate(
            zip(symbols, right, columns, strict=True)
        )
        if column >= 0
    ]


def _spikes(
    probabilities: np.ndarray,
    symbols: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    right: np.ndarray,
) -> list[tuple[str, bool]]:
    """The probability of each symbol that was read, around the columns that say it: (x, height)."""
    spikes = []
    for symbol, start, end, is_right in zip(symbols, starts, ends, right, strict=True):
        column = probabilities[:, symbol]
        first, last = int(start), int(end)
        while first > 0 and column[first - 1] >= _LEAST:
            first -= 1
        while last < len(column) - 1 and column[last + 1] >= _LEAST:
            last += 1
        words = []
        for place in range(first, last + 1):
            height = _SPIKE * float(column[place])
            words.append(f"v{-height:.1f}h{_UNIT:g}v{height:.1f}")
        spikes.append((f"{_x(first - 0.5):.1f} {''.join(words)}", bool(is_right)))
    return spikes


def _drawing(
    line: ReadLine,
    columns: tuple[np.ndarray, np.ndarray],
    picture: np.ndarray,
    num_columns: int,
    spikes: list[tuple[str, bool]],
    read: list[Letter],
    written: list[Letter],
) -> LineDrawing:
    height, width = (_UNIT * size for size in picture.shape[:2])
    base = height + 22 + _SPIKE
    columns_read, columns_written = (one.astype(int).tolist() for one in columns)
    return LineDrawing(
        line=line,
        columns_read=columns_read,
        columns_written=columns_written,
        width=_GUTTER + _UNIT * num_columns,
        height=base + 38,
        picture=(_GUTTER, 0.0, width, height),
        address=data_uri(picture, largest=2000),
        spikes=[(f"M{path.replace(' ', f' {base:.1f}', 1)}Z", right) for path, right in spikes],
        base=base,
        ticks=[(_x(number), number) for number in range(0, num_columns, _TICKS)],
        read=read,
        written=written,
    )


def _x(column: float) -> float:
    """The middle of a column."""
    return _GUTTER + _UNIT * (column + 0.5)
