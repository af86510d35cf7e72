"""How fast a trained run reads live: `python -m benchmarks.streaming --workdir=runs/column_reader`.

One line, a column or 8 columns at a time, and many lines side by side, 8 columns of each at a time.
What is timed is one `push`, from columns in the host's memory to its events. Columns are those of
test lines, one after another without an end.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.machine import describe_command, describe_machine
from benchmarks.report import machine_line, publish
from seqvision.runtime.cpu_devices import prepare_host

_NUM_LINES = 500
_WARM_UP = 20


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked.

    Raises:
      UserError: one of them is wrong, or names results that are there.
    """
    parser = options.Parser("benchmarks.streaming", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text")
    add("--streams", type=options.count, default=256, help="lines side by side; by default 256")
    add("--seconds", type=options.positive, default=5.0, help="of each case; by default 5")
    options.add_name(parser, "versions")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        options.check_free(chosen.name, chosen.overwrite)
    return chosen


def measure(workdir: Path, lines: Any, num_streams: int, size: int, seconds: float) -> dict:
    """Pushes `size` columns into each of `num_streams` lines, again and again.

    Args:
      workdir: the run.
      lines: uint8 (height, n), columns to read; each stream begins elsewhere.
      num_streams, size: what one push is.
      seconds: for so long.
    """
    import numpy as np

    from seqvision.inference.stream_reader import StreamReader

    reader = StreamReader.from_run(workdir, num_streams)
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


def to_markdown(facts: Mapping[str, Any]) -> str:
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
    lines = [header, ["--:"] * len(header), *rows]
    network = ", ".join(f"{name} {value}" for name, value in facts["network"].items())
    return "\n".join(
        [
            f"# {facts['name']}",
            "",
            f"    {facts['command']}",
            "",
            f"{facts['date']}, commit {facts['commit']}. {machine_line(facts)}",
            "",
            f"jax {facts['jax']}, {facts['device']}; {network}.",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
        ]
    )


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    prepare_host()
    import jax
    import numpy as np

    from benchmarks.lines import load_test_lines, read_text_settings

    settings = read_text_settings(chosen.workdir)
    device = jax.devices()[0]
    version = f"{options.PYTHON_VERSION}-jax{jax.__version__}"
    name = chosen.name or f"streaming-{version}{'-gpu' * (device.platform == 'gpu')}"
    options.check_free(name, chosen.overwrite)
    facts: dict[str, Any] = {
        "name": name,
        **describe_command("benchmarks.streaming"),
        "machine": describe_machine(),
        "jax": jax.__version__,
        "device": f"{jax.device_count()} x {device.device_kind}",
        "network": {
            "sequence": settings.model.sequence,
            "cell": settings.model.cell,
            "layers": settings.model.num_layers,
            "units": settings.model.hidden_size,
        },
    }
    lines = np.concatenate(load_test_lines(settings, _NUM_LINES), axis=1)
    facts["cases"] = [
        measure(chosen.workdir, lines, num_streams, size, chosen.seconds)
        for num_streams, size in ((1, 1), (1, 8), (chosen.streams, 8))
    ]
    publish(name, facts, to_markdown(facts))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, options.leave)
    sys.exit(options.run(main))
