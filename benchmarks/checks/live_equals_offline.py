"""A check that live reading gives the texts and logits of reading whole lines.

    python -m benchmarks.checks.live_equals_offline --workdir=runs/column_reader --lines=10000

Test lines are pushed in random pieces of 0 to 64 columns, many lines side by side, into the
`--engine` that is asked for. Texts are compared for all of them,
logits for the first 200. A text that differs, or a logit that differs by more than 1e-5 (2e-5 by
onnxruntime, which `auto` may be), is exit code 1.
"""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import options, report
from benchmarks.machine import describe_devices
from seqvision import prepare_host
from seqvision.errors import UserError

_MOST_DIFFERENCE = 1e-5
"""Of logits, between reading in pieces and as a whole: rounding, of logits of up to some 30."""
_MOST_OF_ONNXRUNTIME = 2e-5
"""Its LSTM rounds otherwise: of the default reader 7e-6 from float64, the whole lines' 6e-6."""
_LINES_OF_LOGITS = 200
_MOST_COLUMNS = 64


def read_live(
    workdir: Path, lines: Sequence[Any], seed: int, num_streams: int, engine: str
) -> tuple[list[str], list[list[np.ndarray]]]:
    """Reads lines side by side, each in random pieces.

    Args:
      workdir: the run.
      lines: uint8 (height, n) each.
      seed: of the pieces.
      num_streams: lines side by side.
      engine: see `StreamReader`.

    Returns:
      The text of each line, and for the first lines the pieces of their logits (n, K).
    """
    from seqvision import StreamReader

    rng = np.random.default_rng(seed)
    texts: list[list[str]] = [[] for _ in lines]
    logits: list[list[np.ndarray]] = [[] for _ in lines[:_LINES_OF_LOGITS]]
    waiting = deque(range(len(lines)))
    number_in: dict[int, int] = {}
    place_in: dict[int, int] = {}

    def keep(stream: int, piece: np.ndarray) -> None:
        if number_in[stream] < len(logits):
            logits[number_in[stream]].append(piece)

    reader = StreamReader.from_run(workdir, num_streams, keep, engine=engine)
    while waiting or number_in:
        for stream in range(reader.num_streams):
            if stream not in number_in and waiting:
                number_in[stream], place_in[stream] = waiting.popleft(), 0
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
    return ["".join(text).strip(" ") for text in texts], logits


def largest_difference(run: Any, lines: Sequence[Any], live: Sequence[list[Any]]) -> float:
    """Of the logits of lines, read as a whole and in pieces (`live`, by line)."""
    import jax

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
    differences = [
        np.abs(np.concatenate(pieces) - logits[: length + delay]).max()
        for pieces, logits, length in zip(live, whole, lengths, strict=True)
    ]
    return float(np.max(differences))  # Python's `max` may pass NaN over.


def compare(
    workdir: Path, lines: Sequence[Any], seed: int, num_streams: int, engine: str
) -> dict[str, Any]:
    """Reads the lines both ways.

    Args:
      workdir: the run.
      lines: uint8 (height, n) each.
      seed: of the pieces.
      num_streams: lines side by side.
      engine: see `StreamReader`.
    """
    from seqvision import Transcriber
    from seqvision.runs.saved_run import load_run

    offline = [line["text"] for line in Transcriber.from_run(workdir)(lines)]
    live, logits = read_live(workdir, lines, seed, num_streams, engine)
    differing = [
        {"line": number, "offline": whole, "live": pieces}
        for number, (whole, pieces) in enumerate(zip(offline, live, strict=True))
        if whole != pieces
    ]
    return {
        "lines": len(lines),
        "streams": num_streams,
        "engine": engine,
        "symbols": sum(map(len, offline)),
        "lines_that_differ": len(differing),
        "passes": _MOST_DIFFERENCE if engine in ("numpy", "jax") else _MOST_OF_ONNXRUNTIME,
        "largest_difference_of_logits": largest_difference(
            load_run(workdir), lines[: len(logits)], logits
        ),
        "lines_of_logits": len(logits),
        "differing": differing[:20],
    }


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.live_equals_offline", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text, greedily")
    add("--lines", type=options.count, default=10_000, help="how many; by default 10000")
    add("--streams", type=options.count, default=256, help="lines side by side; by default 256")
    add("--seed", type=int, default=0, help="of the pieces; by default 0")
    add("--engine", default="auto", help="of StreamReader: auto (the default), numpy, ...")
    chosen = parser.parse(arguments)
    prepare_host()
    from benchmarks.lines import load_test_lines, read_text_settings

    settings = read_text_settings(chosen.workdir)
    if settings.reading.beam_width:
        raise UserError(
            f"--workdir: {chosen.workdir} reads whole lines by a beam search"
            " (config.reading.beam_width), live reading is greedy; choose another run"
        )
    name = f"live_equals_offline-{chosen.streams}-{chosen.engine}"
    facts = report.begin(chosen, name, describe_devices())
    lines = load_test_lines(settings, chosen.lines)
    facts |= compare(chosen.workdir, lines, chosen.seed, chosen.streams, chosen.engine)
    print(report.write(facts, body(facts)))
    is_equal = facts["largest_difference_of_logits"] <= facts["passes"]  # False for NaN.
    return int(facts["lines_that_differ"] > 0 or not is_equal)


def body(facts: Mapping[str, Any]) -> list[str]:
    """One line."""
    return [
        f"{facts['lines']} lines, {facts['symbols']} symbols, {facts['streams']} lines side by"
        f" side, engine {facts['engine']}: {facts['lines_that_differ']} texts differ; largest"
        f" difference of logits on the first {facts['lines_of_logits']} lines:"
        f" {facts['largest_difference_of_logits']:.2e}, at most {facts['passes']:.0e} passes."
    ]


if __name__ == "__main__":
    sys.exit(options.run(main))
