"""Whether live reading says what reading whole lines says.

    python -m benchmarks.live_equals_offline --workdir=runs/column_reader --lines=10000

Test lines are pushed in random pieces of 0 to 64 columns, many lines side by side. Texts are
compared for all of them, logits for the first 200.
"""

import argparse
import json
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.machine import describe_command, describe_machine
from benchmarks.report import write_whole
from seqvision.runtime.cpu_devices import prepare_host

_STREAMS = 256
_LINES_OF_LOGITS = 200
_MOST_COLUMNS = 64


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked.

    Raises:
      UserError: one of them is wrong, or names results that are there.
    """
    parser = options.Parser("benchmarks.live_equals_offline", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text, greedily")
    add("--lines", type=options.count, default=10_000, help="how many; by default 10000")
    add("--seed", type=int, default=0, help="of the pieces; by default 0")
    options.add_name(parser, "versions")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        options.check_free(chosen.name, chosen.overwrite)
    return chosen


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


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    prepare_host()
    import jax
    import numpy as np

    from benchmarks.lines import load_test_lines, read_text_settings
    from seqvision.errors import UserError
    from seqvision.inference.stream_reader import StreamReader
    from seqvision.inference.transcriber import Transcriber
    from seqvision.runs.saved_run import load_run

    settings = read_text_settings(chosen.workdir)
    if settings.reading.beam_width:
        raise UserError(
            f"--workdir: {chosen.workdir} reads whole lines by a beam search"
            " (config.reading.beam_width), live reading is greedy; choose another run"
        )
    name = chosen.name or f"live_equals_offline-{options.PYTHON_VERSION}-jax{jax.__version__}"
    options.check_free(name, chosen.overwrite)
    lines = load_test_lines(settings, chosen.lines)
    offline = [said["text"] for said in Transcriber.from_run(chosen.workdir)(lines)]

    rng = np.random.default_rng(chosen.seed)
    first, rest = lines[:_LINES_OF_LOGITS], lines[_LINES_OF_LOGITS:]
    logits: list[list[np.ndarray]] = [[] for _ in first]
    line_in: dict[int, int] = {}
    listening = StreamReader.from_run(
        chosen.workdir,
        num_streams=min(_STREAMS, len(first)),
        on_logits=lambda stream, said: logits[line_in[stream]].append(said),
    )
    live = read_live(listening, first, rng, line_in.__setitem__)
    reader = StreamReader.from_run(chosen.workdir, num_streams=_STREAMS)
    live += read_live(reader, rest, rng, lambda stream, number: None)
    differing = [
        {"line": number, "offline": whole, "live": pieces}
        for number, (whole, pieces) in enumerate(zip(offline, live, strict=True))
        if whole != pieces
    ]
    facts = {
        "name": name,
        **describe_command("benchmarks.live_equals_offline"),
        "machine": describe_machine(),
        "jax": jax.__version__,
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "lines": len(lines),
        "symbols": sum(map(len, offline)),
        "lines_that_differ": len(differing),
        "largest_difference_of_logits": largest_difference(load_run(chosen.workdir), first, logits),
        "lines_of_logits": len(first),
        "differing": differing[:20],
    }
    write_whole(options.RESULTS / f"{name}.json", json.dumps(facts, indent=1))
    print(
        f"{facts['lines']} lines, {facts['symbols']} symbols: {len(differing)} texts differ;"
        f" largest difference of logits on the first {len(first)} lines:"
        f" {facts['largest_difference_of_logits']:.2e}"
    )
    return int(bool(differing))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, options.leave)
    sys.exit(options.run(main))
