"""A check that live reading gives the texts and logits of reading whole lines.

    python -m benchmarks.checks.live_equals_offline --workdir=runs/column_reader --lines=10000

Test lines are pushed in random pieces of 0 to 64 columns, many lines side by side. Texts are
compared for all of them, logits for the first 200.
"""

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.machine import describe_devices
from seqvision import prepare_host
from seqvision.errors import UserError

_STREAMS = 256
_LINES_OF_LOGITS = 200
_MOST_COLUMNS = 64


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """See `options.Parser.parse`."""
    parser = options.Parser("benchmarks.checks.live_equals_offline", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text, greedily")
    add("--lines", type=options.count, default=10_000, help="how many; by default 10000")
    add("--seed", type=int, default=0, help="of the pieces; by default 0")
    return parser.parse(arguments)


def read_live(reader: Any, lines: Sequence[Any], rng: Any, begin: Any) -> list[str]:
    """The texts of lines that are read side by side, each in random pieces.

    Args:
      reader: a `StreamReader`.
      lines: uint8 (height, n) each.
      rng: draws the pieces.
      begin: called with a stream and the number of the line that begins there.
    """
    texts: list[list[str]] = [[] for _ in lines]
    waiting = deque(range(len(lines)))
    number_in: dict[int, int] = {}
    place_in: dict[int, int] = {}
    while waiting or number_in:
        for stream in range(reader.num_streams):
            if stream not in number_in and waiting:
                number_in[stream], place_in[stream] = waiting.popleft(), 0
                begin(stream, number_in[stream])
        columns, ending = {}, []
        for stream, number in number_in.items():
            place = place_in[stream]
            columns[stream] = lines[number][:, place : place + rng.integers(_MOST_COLUMNS + 1)]
            place_in[stream] += columns[stream].shape[1]
            if place_in[stream] == lines[number].shape[1]:
                ending.append(stream)
        for event in reader.push(columns) + reader.finish(ending):
            texts[number_in[event.stream]] += [event.symbol] * event.final
        for stream in ending:
            del number_in[stream]
    return ["".join(text) for text in texts]


def largest_difference(run: Any, lines: Sequence[Any], live: Sequence[list[Any]]) -> float:
    """Of the logits of lines, read as a whole and in pieces (`live`, by line)."""
    import jax
    import numpy as np

    from seqvision.data.preprocessing import to_unit_range

    width = max(line.shape[1] for line in lines)
    inputs = np.stack([np.pad(line, ((0, 0), (0, width - line.shape[1]))) for line in lines])
    lengths = np.array([line.shape[1] for line in lines], np.int32)
    apply = jax.jit(
        lambda params, inputs, lengths: run.model.apply(
            {"params": params}, to_unit_range(inputs), lengths
        )
    )
    whole = np.asarray(apply(run.params, inputs[..., None], lengths))
    delay = run.settings.reading.delay
    return max(
        float(np.abs(np.concatenate(pieces) - logits[: length + delay]).max())
        for pieces, logits, length in zip(live, whole, lengths, strict=True)
    )


def compare(workdir: Path, lines: Sequence[Any], seed: int) -> dict[str, Any]:
    """Reads the lines both ways.

    Args:
      workdir: the run.
      lines: uint8 (height, n) each.
      seed: of the pieces.
    """
    import numpy as np

    from seqvision import StreamReader, Transcriber
    from seqvision.runs.saved_run import load_run

    offline = [line["text"] for line in Transcriber.from_run(workdir)(lines)]
    rng = np.random.default_rng(seed)
    first, rest = lines[:_LINES_OF_LOGITS], lines[_LINES_OF_LOGITS:]
    logits: list[list[np.ndarray]] = [[] for _ in first]
    line_in: dict[int, int] = {}
    reader = StreamReader.from_run(
        workdir,
        num_streams=min(_STREAMS, len(first)),
        on_logits=lambda stream, piece: logits[line_in[stream]].append(piece),
    )
    live = read_live(reader, first, rng, line_in.__setitem__)
    reader = StreamReader.from_run(workdir, num_streams=_STREAMS)
    live += read_live(reader, rest, rng, lambda stream, number: None)
    differing = [
        {"line": number, "offline": whole, "live": pieces}
        for number, (whole, pieces) in enumerate(zip(offline, live, strict=True))
        if whole != pieces
    ]
    return {
        "lines": len(lines),
        "symbols": sum(map(len, offline)),
        "lines_that_differ": len(differing),
        "largest_difference_of_logits": largest_difference(load_run(workdir), first, logits),
        "lines_of_logits": len(first),
        "differing": differing[:20],
    }


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    prepare_host()
    from benchmarks.lines import load_test_lines, read_text_settings

    settings = read_text_settings(chosen.workdir)
    if settings.reading.beam_width:
        raise UserError(
            f"--workdir: {chosen.workdir} reads whole lines by a beam search"
            " (config.reading.beam_width), live reading is greedy; choose another run"
        )
    facts = report.begin(chosen, "live_equals_offline", describe_devices())
    facts |= compare(chosen.workdir, load_test_lines(settings, chosen.lines), chosen.seed)
    body = [
        f"{facts['lines']} lines, {facts['symbols']} symbols: {facts['lines_that_differ']} texts"
        f" differ; largest difference of logits on the first {facts['lines_of_logits']} lines:"
        f" {facts['largest_difference_of_logits']:.2e}."
    ]
    print(report.write(facts, body))
    return int(bool(facts["lines_that_differ"]))


if __name__ == "__main__":
    sys.exit(options.run(main))
