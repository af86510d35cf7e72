"""Training of several seeds at once beside as many runs in a row.

    python -m benchmarks.speed.seeds --hidden_sizes=32,64,128,256 --config=configs/row_lstm.py:fast

Steps of the row LSTM on made-up images, all ways in one process and by turns: the runs in a row,
every batch shared by the devices; the seeds at once, each device with its own, in turn (what a CPU
does by default); and all seeds of a device in one step (`jax.vmap`, what accelerators do). Then,
with `--config`, whole commands from start to end, each with nothing compiled before: `main.py` with
`num_seeds`, and once for each seed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.machine import describe_devices
from benchmarks.progress import Progress
from benchmarks.speed.cases import DTYPES, Case
from benchmarks.speed.contender import Run, timed
from seqvision import prepare_host

IN_A_ROW, IN_TURN, IN_ONE_STEP = "in a row", "at once, in turn", "at once, in one step"
WAYS = (IN_A_ROW, IN_TURN, IN_ONE_STEP)
AT_ONCE = "at once"
_MIN_STEPS = 3
_NOT_RECORDED = ("name", "overwrite", "module")


def build(way: str, case: Case, num_seeds: int, execution: str) -> Run:
    """Runs steps of all seeds, in one of the `WAYS`."""
    from benchmarks.speed.training_steps import build_training

    if way == IN_A_ROW:
        run = build_training(case, execution)
        return lambda num_steps: run(num_steps * num_seeds)
    return build_training(case, execution, num_seeds, seeds_together=way == IN_ONE_STEP)


def measure(
    case: Case, chosen: argparse.Namespace, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """ms for a step of all seeds, round by round, by way."""
    runs, guesses = {}, {}
    for way in WAYS:
        tell(f"H={case.hidden_size}: {way}: prepare")
        runs[way] = build(way, case, chosen.num_seeds, chosen.execution)
        runs[way](1)  # Compiles.
        guesses[way] = timed(runs[way], 0, 1, guess=1)[0]
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(chosen.rounds):
        for way, run in runs.items():
            tell(f"H={case.hidden_size}: {way}: round {number + 1}/{chosen.rounds}")
            found[way].append(timed(run, chosen.seconds, _MIN_STEPS, guesses[way])[0])
    return found


def whole_seconds(chosen: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of the commands, and the last line that each printed."""
    length = [f"--config.duration={chosen.duration}"] if chosen.duration else []
    runs = {AT_ONCE: [(0, chosen.num_seeds)], IN_A_ROW: [(n, 1) for n in range(chosen.num_seeds)]}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, seeds in runs.items():
            environment = os.environ | {
                "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / f"{way}-compiled")
            }
            environment.pop("XLA_FLAGS", None)  # This process's own.
            seconds, last_lines = [], []
            for first, number in seeds:
                tell(f"{way}: seeds {first} to {first + number - 1}")
                command = [sys.executable, "main.py", f"--config={chosen.config}", *length]
                command += [f"--config.seed={first}", f"--config.num_seeds={number}"]
                command.append("--report=false")
                start = time.perf_counter()
                done = subprocess.run(
                    [*command, f"--workdir={folder}/{way}-{first}"],
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                seconds.append(time.perf_counter() - start)
                if done.returncode:
                    raise RuntimeError(done.stderr.strip().splitlines()[-1])
                last_lines.append(done.stdout.strip().splitlines()[-1])
            found[way] = {"seconds": seconds, "last_lines": last_lines}
    return found


def body(facts: dict[str, Any]) -> list[str]:
    """A row for each hidden size, and the whole commands."""
    num_seeds = facts["num_seeds"]
    rows = []
    for step in facts["steps"]:
        speeds = {way: [1000 * num_seeds / ms for ms in times] for way, times in step["ms"].items()}
        medians = {way: statistics.median(speeds[way]) for way in WAYS}
        cells = [
            f"{medians[way]:.1f} ({min(speeds[way]):.1f}-{max(speeds[way]):.1f})" for way in WAYS
        ]
        ratios = [f"{medians[way] / medians[IN_A_ROW]:.2f}" for way in WAYS[1:]]
        rows.append([str(step["hidden_size"]), *cells, *ratios])
    header = ["H", *WAYS, *(f"{way} / {IN_A_ROW}" for way in WAYS[1:])]
    lines = [
        f"Training steps of the row LSTM a second, counted over all {num_seeds} seeds: median"
        f" (lowest-highest) of {facts['rounds']} rounds of about {facts['seconds']:g} s, ways in"
        f" turn. Batch {facts['batch_size']}, T=28, D=28, {facts['dtype']}.",
        "",
        *report.table(header, rows, num_words=0),
    ]
    if facts["whole"]:
        seconds = {way: sum(found["seconds"]) for way, found in facts["whole"].items()}
        lines += [
            "",
            f"Whole commands, {facts['config']} {facts['duration']}: {num_seeds} seeds at once"
            f" {seconds[AT_ONCE]:.0f} s, {num_seeds} runs in a row {seconds[IN_A_ROW]:.0f} s"
            f" ({seconds[IN_A_ROW] / seconds[AT_ONCE]:.2f} times as long). Their last lines:",
            "",
            *(f"    {line}" for found in facts["whole"].values() for line in found["last_lines"]),
        ]
    return lines


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.speed.seeds", __doc__)
    add = parser.add_argument
    add("--num_seeds", type=options.count, default=8, help="by default 8")
    add("--hidden_sizes", type=options.counts, default=[128], metavar="H,H", help="by default 128")
    add("--batch_size", type=options.count, default=128, help="of each seed; by default 128")
    add("--dtype", choices=DTYPES, default="float32", help="of the products; by default float32")
    add("--execution", default="auto", help="of the recurrent layer; by default auto")
    add("--rounds", type=options.count, default=6, help="measurements of each; by default 6")
    add("--seconds", type=options.positive, default=1.0, help="of a measurement; by default 1")
    add("--config", default="", help="what whole commands train; by default there are none")
    add("--duration", default="", help="of each of these, such as '1 epochs'; by default its own")
    chosen = parser.parse(arguments)
    prepare_host(0, chosen.batch_size)
    import jax

    fields = {name: value for name, value in vars(chosen).items() if name not in _NOT_RECORDED}
    name, device = f"seeds-{jax.default_backend()}", describe_devices()
    facts = report.begin(chosen, name, device, **fields, whole={}, steps=[])
    progress = Progress(len(chosen.hidden_sizes) + bool(chosen.config))
    for hidden_size in chosen.hidden_sizes:
        case = Case("lstm", "training", chosen.batch_size, 28, 28, hidden_size, chosen.dtype)
        ms = measure(case, chosen, progress.show)
        facts["steps"].append({"hidden_size": hidden_size, "ms": ms})
        progress.advance()
    if chosen.config:
        facts["whole"] = whole_seconds(chosen, progress.show)
    print(report.write(facts, body(facts)))
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
