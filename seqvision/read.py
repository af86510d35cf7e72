"""Live reading of line images, as if they were just being written: `--mode=read`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seqvision.config.schema import Settings
from seqvision.data.files.doubts import NOTHING_READ
from seqvision.data.files.images import check_inversion
from seqvision.inference.inputs import check_pattern, find_inputs, read_lines
from seqvision.inference.line_screen import LineScreen
from seqvision.inference.stream_events import Event
from seqvision.inference.stream_reader import StreamReader
from seqvision.runtime.console import say

# Columns that arrive at once.
_PUSH = 8


def read_files(
    workdir: Path, inputs: str, invert: str, seed: int | None = None, to_scale: bool = True
) -> int:
    """Reads images of lines column by column and shows letters as they are decoded.

    On a terminal the line runs past at the pace of a pen, with its text below; elsewhere each event
    is printed at once, then the text.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `lines/*.png`.
      invert: see `data.sources.line_reading.read_line`.
      seed: of a run of several seeds, whose weights; by default those of the first.
      to_scale: whether lines are brought to the scale of the training lines.

    Returns:
      The number of files that could not be read; stderr names each with its error.

    Raises:
      UserError: nothing matches, no trained run, or one that cannot read live.
    """
    check_inversion(invert)
    check_pattern(inputs)
    paths = find_inputs(inputs, of_clips=False)
    reader = StreamReader.from_run(workdir, seed=seed)
    failed, invert = 0, reader.invert if invert == "auto" else invert
    looks = reader.looks if to_scale else None
    for name, line, error, _ in read_lines(paths, reader.height, invert, looks):
        if line is None:
            print(f"unreadable: {name}: {error}", file=sys.stderr)
            failed += 1
            continue
        say(name)
        show = _draw if LineScreen.fits(reader.height) else _list
        text = show(reader, line[..., 0])
        say(f"text  {text}")
        if not text:
            print(f"doubtful: {name}: {NOTHING_READ}", file=sys.stderr)
    return failed


def event_line(event: Event) -> str:
    """An event as a line."""
    first, last = event.columns
    parts = [
        f"column {event.column:>5}",
        "final" if event.final else "begun",
        f"'{event.symbol}'",
        f"columns {first}-{last}",
        f"{event.confidence:.2%}",
        *["word ends"] * event.ends_word,
    ]
    return "  ".join(parts)


def _pushed(reader: StreamReader, line: np.ndarray) -> Iterator[tuple[np.ndarray, list[Event]]]:
    """Columns (height, n) of a line (height, width) and their events; at the end no columns."""
    for begin in range(0, line.shape[1], _PUSH):
        columns = line[:, begin : begin + _PUSH]
        yield columns, reader.push(columns)
    yield line[:, :0], reader.finish()


def _list(reader: StreamReader, line: np.ndarray) -> str:
    all_events = []
    for _, events in _pushed(reader, line):
        for event in events:
            say(event_line(event))
        all_events += events
    return reader.text(all_events)


def _draw(reader: StreamReader, line: np.ndarray) -> str:
    final: list[Event] = []
    open_letter, note, text = "", "", ""
    with LineScreen(reader.height) as screen:
        for columns, events in _pushed(reader, line):
            for event in events:
                open_letter, note = "" if event.final else event.symbol, event_line(event)
                final += [event] * event.final
            if any(event.final for event in events):  # Of what fits alone: a line may be endless.
                text = reader.text(final[-screen.width :])
            screen.show(columns, text, open_letter, note)
    return reader.text(final)


def run(
    settings: Settings,
    workdir: Path,
    inputs: str,
    invert: str,
    seed: int | None,
    to_scale: bool,
) -> int:
    """`--mode=read`, with the settings of the run; returns the exit code."""
    return min(1, read_files(workdir, inputs, invert, seed, to_scale))
