"""A line of writing as it was read: letters, spikes and alignments under the ink."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rapidfuzz.distance import Levenshtein

from seqvision.data.dataset import Split
from seqvision.data.preprocessing import to_unit_range
from seqvision.decoding import align, letter_ends
from seqvision.reports.pictures import data_uri
from seqvision.runs.saved_run import Run
from seqvision.tasks.reading import TextReading

_GUTTER, _UNIT = 52.0, 2.0
"""Units to the left of the line, for words, and of a column."""
_SPIKE = 40.0
_LEAST = 0.01


class Letter(NamedTuple):
    """A letter that was read or is written.

    Attributes:
      x: of its middle.
      text: the symbol, a space as ␣.
      is_right: whether it is in both texts.
      end: x of the place where its ink is taken to end; None where that is not known.
    """

    x: float
    text: str
    is_right: bool
    end: float | None = None


class LineDrawing(NamedTuple):
    """A drawing; all lengths are in the units of its view box.

    Attributes:
      width, height: of the view box.
      picture: x, y, width and height of the line.
      address: of the picture, `data:`.
      spikes: paths, and whether the symbol is right.
      base: y of the feet of the spikes.
      read, written: the letters below.
    """

    width: float
    height: float
    picture: tuple[float, float, float, float]
    address: str
    spikes: list[tuple[str, bool]]
    base: float
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
    labels, counts = jnp.asarray(batch["labels"]), jnp.asarray(batch["label_lengths"])
    aligned = jax.device_get(align(log_probs, lengths + task.delay, labels, counts))
    probabilities = np.exp(np.asarray(log_probs))
    drawings = []
    for index in range(len(numbers)):
        kept = task.read_symbols(decoded, index)
        symbols, written = decoded.symbols[index, kept], slice(int(counts[index]))
        length = int(lengths[index])
        read_text = [task.symbols[one - 1] for one in symbols.tolist()]
        true_text = [task.symbols[one - 1] for one in batch["labels"][index, written].tolist()]
        right, found = _common(read_text, true_text)
        starts, ends = decoded.starts[index, kept], decoded.ends[index, kept]
        ink = letter_ends(starts, task.letter_delay, length) if task.letter_delay else None
        drawings.append(
            _drawing(
                batch["inputs"][index, :, :length],
                length + task.delay,
                _spikes(probabilities[index, : length + task.delay], symbols, starts, ends, right),
                _letters(read_text, right, (starts + ends) / 2, ink),
                _letters(
                    true_text,
                    found,
                    (aligned.starts[index, written] + aligned.ends[index, written]) / 2,
                    None,
                ),
            )
        )
    return drawings


def _common(read: list[str], written: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which symbols of two texts are in both."""
    right, found = np.zeros(len(read), bool), np.zeros(len(written), bool)
    for block in Levenshtein.opcodes(read, written):
        if block.tag == "equal":
            right[block.src_start : block.src_end] = True
            found[block.dest_start : block.dest_end] = True
    return right, found


def _letters(
    text: list[str], right: np.ndarray, columns: np.ndarray, ends: np.ndarray | None
) -> list[Letter]:
    """Letters below their columns; none that has no column, since its text cannot be aligned."""
    return [
        Letter(
            _x(float(column)),
            "␣" if symbol == " " else symbol,
            bool(is_right),
            None if ends is None else _x(float(ends[place])),
        )
        for place, (symbol, is_right, column) in enumerate(zip(text, right, columns, strict=True))
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
    line: np.ndarray,
    num_columns: int,
    spikes: list[tuple[str, bool]],
    read: list[Letter],
    written: list[Letter],
) -> LineDrawing:
    height, width = (_UNIT * size for size in line.shape[:2])
    base = height + 22 + _SPIKE
    return LineDrawing(
        width=_GUTTER + _UNIT * num_columns,
        height=base + 28,
        picture=(_GUTTER, 0.0, width, height),
        address=data_uri(line, largest=2000),
        spikes=[(f"M{path.replace(' ', f' {base:.1f}', 1)}Z", right) for path, right in spikes],
        base=base,
        read=read,
        written=written,
    )


def _x(column: float) -> float:
    """The middle of a column."""
    return _GUTTER + _UNIT * (column + 0.5)
