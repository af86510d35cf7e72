"""Columns a second that a trained run reads live.

    python -m benchmarks.speed.streaming --workdir=runs/column_reader

One line, a column or 8 columns at a time, and many lines side by side, 8 columns of each at a time.
What is timed is one `push`, from columns in the host's memory to its events. Columns are those of
test lines, one after another without an end.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import options, report
from benchmarks.machine import describe_devices
from benchmarks.progress import Progress
from seqvision import prepare_host

if TYPE_CHECKING:
    from seqvision import StreamReader  # It imports jax.

_NUM_LINES = 500
_WARM_UP = 20


def measure(reader: "StreamReader", lines: Any, size: int, seconds: float) -> dict[str, Any]:
    """Pushes `size` columns into each line of a reader, again and again.

    Args:
      reader: a fresh one.
      lines: uint8 (height, n), columns to read; each stream begins elsewhere.
      size: what one push is.
      seconds: for so long.
    """
    import numpy as np

    num_streams = reader.num_streams
    places = np.linspace(0, lines.shape[1] - size, num_streams, dtype=int)
    times: list[float] = []
    while len(times) < _WARM_UP + 3 or sum(times[_WARM_UP:]) < seconds:
        columns = {n: lines[:, at : at + size] for n, at in enumerate(places.tolist())}
        places = (places + size) % (lines.shape[1] - size)
        start = time.perf_counter()
        reader.push(columns)
        times.append(time.perf_counter() - start)
    times = times[_WARM_UP:]
    return {
        "streams": num_streams,
        "columns": size,
        "pushes": len(times),
        "columns_per_second": num_streams * size * len(times) / sum(times),
        "p50_ms": 1000 * float(np.percentile(times, 50)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "most_ms": 1000 * max(times),
    }


def body(facts: Mapping[str, Any]) -> list[str]:
    """A row for each case."""
    header = ["lines", "columns of each in a push", "columns/s", "p50, ms", "p99, ms", "pushes"]
    rows = [
        [
            str(case["streams"]),
            str(case["columns"]),
            f"{case['columns_per_second']:,.0f}",
            f"{case['p50_ms']:.2f}",
            f"{case['p99_ms']:.2f}",
            f"{case['pushes']:,}",
        ]
        for case in facts["cases"]
    ]
    network = ", ".join(f"{name} {value}" for name, value in facts["network"].items())
    return [f"{network}.", "", *report.table(header, rows, num_words=0)]


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.speed.streaming", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text")
    add("--streams", type=options.count, default=256, help="lines side by side; by default 256")
    add("--seconds", type=options.positive, default=5.0, help="of each case; by default 5")
    chosen = parser.parse(arguments)
    prepare_host()
    import numpy as np

    from benchmarks.lines import load_test_lines, read_text_settings
    from seqvision import StreamReader

    settings = read_text_settings(chosen.workdir)
    network = {
        "sequence": settings.model.sequence,
        "cell": settings.model.cell,
        "layers": settings.model.num_layers,
        "units": settings.model.hidden_size,
    }
    facts = report.begin(chosen, "streaming", describe_devices(), network=network, cases=[])
    lines = np.concatenate(load_test_lines(settings, _NUM_LINES), axis=1)
    cases = ((1, 1), (1, 8), (chosen.streams, 8))
    progress = Progress(len(cases))
    for num_streams, size in cases:
        progress.show(f"{num_streams} lines, {size} columns of each in a push")
        reader = StreamReader.from_run(chosen.workdir, num_streams)
        facts["cases"].append(measure(reader, lines, size, chosen.seconds))
        progress.advance()
    print(report.write(facts, body(facts)))
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
