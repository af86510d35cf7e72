"""How well a run reads lines of writing."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jax.sharding import Mesh

from seqvision.config.schema import Settings
from seqvision.data.alphabet import Alphabet
from seqvision.data.batching import shared_batch_size
from seqvision.data.dataset import Split
from seqvision.data.sources.line_images import LineSplit
from seqvision.inference.output_file import transcription_row, write_rows
from seqvision.inference.predictions import transcription
from seqvision.runs.result import format_metric
from seqvision.runs.saved_run import Run
from seqvision.runtime.console import say
from seqvision.tasks.base import TextReading
from seqvision.tasks.reading import make_read_step, transcripts
from seqvision.tasks.reading_metrics import ReadingMetrics, ScoredLine, reading_metrics


def evaluate_lines(
    run: Run,
    settings: Settings,
    split: Split,
    mesh: Mesh,
    symbols: tuple[str, ...],
    target: Path | None,
) -> ReadingMetrics:
    """Reads a split and prints its figures.

    Args:
      run: the trained network.
      settings: batch size and beam width.
      split: lines.
      mesh: the devices.
      symbols: the alphabet.
      target: a file for what was read on each line.

    Raises:
      UserError: the file cannot be written.
    """
    delay, beam_width = run.settings.reading.delay, settings.reading.beam_width
    read_step = make_read_step(run.model, mesh, split.take, TextReading(delay), beam_width)
    size = shared_batch_size(settings.data.eval_batch_size, len(split), mesh)
    lines: Iterable[ScoredLine] = transcripts(read_step, run.params, split, size, mesh)
    if target is not None:
        lines = list(lines)  # They are looked at twice.
    metrics = reading_metrics(lines, delay)
    for line in reading_report(metrics, beam_width):
        say(line)
    if target is not None:
        names = split.names if isinstance(split, LineSplit) else range(len(split))
        alphabet = Alphabet(symbols)
        rows = [
            {"file": name, "truth": alphabet.decode(line.truth)}
            | transcription_row(
                transcription(
                    line.symbols,
                    line.starts,
                    line.confidences,
                    alphabet,
                    run.settings.letter_delay,
                    line.num_columns,
                )
            )
            for name, line in zip(names, lines, strict=True)
        ]
        write_rows(rows, target)
        say(f"{len(rows)} predictions written to {target}")
    return metrics


def reading_report(metrics: ReadingMetrics, beam_width: int) -> Iterator[str]:
    """Lines with all figures, and how many lines of each length were right."""
    yield f"decoding  {f'beam of {beam_width}' if beam_width else 'greedy'}"
    for name, value in metrics.row().items():
        yield f"{name.replace('_', ' '):<14}  {format_metric(name, value)}"
    yield "exact match by number of symbols"
    for length, (right, number) in metrics.exact_by_length.items():
        yield f"  {length:>4}  {right / number:>7.2%} of {number}"
