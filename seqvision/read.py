"""Live reading of lines, images and clips, as if they were just arriving: `--mode=read`."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from seqvision.config.schema import Settings
from seqvision.data.files.doubts import NOTHING_READ
from seqvision.data.files.images import check_inversion
from seqvision.errors import UserError
from seqvision.inference.belief_screen import BeliefScreen
from seqvision.inference.decision import DecisionRule
from seqvision.inference.inputs import check_pattern, find_inputs, read_lines
from seqvision.inference.line_screen import LineScreen
from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_classifier import Belief, StreamClassifier
from seqvision.inference.stream_events import Event
from seqvision.inference.stream_reader import StreamReader
from seqvision.runs.saved_run import Run, check_lines_are_scaled, check_targets, load_run
from seqvision.runtime.console import say

# Columns that arrive at once.
_PUSH = 8


def read_files(
    workdir: Path,
    inputs: str,
    invert: str,
    seed: int | None = None,
    decide: str = "",
    to_scale: bool = True,
) -> int:
    """Reads files step by step and shows what is known so far.

    Lines of writing are read column by column: on a terminal the line runs past at the pace of a
    pen, with its text below; elsewhere each event is printed at once, then the text. Of images and
    clips, the belief after each row, column, pixel or frame is shown: as bars, or a line for each.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `lines/*.png`.
      invert: see `data.sources.line_reading.read_line` and `inference.predictor.Predictor`.
      seed: of a run of several seeds, whose weights; by default those of the first.
      decide: of images and clips, when to decide on a class, see `decision.DecisionRule`; "": at
        the end.
      to_scale: whether lines are brought to the scale of the training lines.

    Returns:
      The number of files that could not be read; stderr names each with its error.

    Raises:
      UserError: nothing matches, no trained run, one that cannot read live, or no such rule.
    """
    check_inversion(invert)
    check_pattern(inputs)
    try:
        rule = DecisionRule.of(decide or None)
    except UserError as error:
        raise UserError(f"--decide: {error}") from None
    run = load_run(workdir, seed)
    if not to_scale:
        check_lines_are_scaled(run)
    paths = find_inputs(inputs, run.data.of_clips)
    if not run.settings.reads_text:
        return _classify(run, paths, invert, rule)
    if rule is not None:
        raise UserError(
            f"--decide: it has no effect on {workdir}, which reads text; leave it out (it is for"
            " runs that classify images or clips)"
        )
    return _read_lines(StreamReader(run), paths, invert, to_scale)


def _read_lines(reader: StreamReader, paths: list[Path], invert: str, to_scale: bool) -> int:
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


def _classify(trained: Run, paths: list[Path], invert: str, rule: DecisionRule | None) -> int:
    check_targets(trained, "--mode=read", ("class", "steps"))
    classifier, failed = StreamClassifier(trained, rule=rule), 0
    for name, array, error, doubt in Predictor(trained).read_files(paths, invert):
        if array is None:
            print(f"unreadable: {name}: {error}", file=sys.stderr)
            failed += 1
            continue
        say(name)
        if doubt:
            print(f"doubtful: {name}: {doubt}", file=sys.stderr)
        pushes, left_out = classifier.pushes(array)
        decided = (_draw_beliefs if BeliefScreen.fits() else _list_beliefs)(classifier, pushes)
        steps = classifier.step_name
        if not trained.task.labels_steps:  # Else each frame has a class of its own.
            say(
                f"decided  '{classifier.class_names[decided.decision or 0]}'  after"
                f" {decided.step} of {len(pushes)} {steps}"
            )
        if left_out:
            say(f"not read: {left_out} more {steps}, behind the window (config.data.window)")
    return failed


def belief_line(belief: Belief, classifier: StreamClassifier) -> str:
    """A belief as a line."""
    parts = [
        f"{classifier.step_name.removesuffix('s')} {belief.step:>5}",
        f"'{belief.label}'",
        f"{belief.probabilities[belief.classes]:.2%}",
    ]
    if belief.decision is not None:
        parts.append(f"decided '{classifier.class_names[belief.decision]}'")
    return "  ".join(parts)


def _classified(
    classifier: StreamClassifier, pushes: list[np.ndarray], show: Callable[[Belief], None]
) -> Belief:
    """The belief with which a class is decided on; `show` is given each."""
    decided = None
    for steps in pushes:
        [belief] = classifier.push(steps)
        show(belief)
        decided = belief if belief.decided and decided is None else decided
    [last] = classifier.finish()
    return decided or last


def _list_beliefs(classifier: StreamClassifier, pushes: list[np.ndarray]) -> Belief:
    return _classified(classifier, pushes, lambda belief: say(belief_line(belief, classifier)))


def _draw_beliefs(classifier: StreamClassifier, pushes: list[np.ndarray]) -> Belief:
    with BeliefScreen(classifier.class_names, len(pushes)) as screen:
        return _classified(
            classifier,
            pushes,
            lambda belief: screen.show(belief.probabilities, belief_line(belief, classifier)),
        )


def run(
    settings: Settings,
    workdir: Path,
    inputs: str,
    invert: str,
    seed: int | None,
    decide: str,
    to_scale: bool,
) -> int:
    """`--mode=read`, with the settings of the run; returns the exit code."""
    return min(1, read_files(workdir, inputs, invert, seed, decide, to_scale))
