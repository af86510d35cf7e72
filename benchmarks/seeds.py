"""Several seeds at once beside as many runs in a row: `python -m benchmarks.seeds`.

Steps of the row LSTM on made-up images, all ways in one process and by turns: the runs in a row,
every batch shared by the devices; the seeds at once, each device with its own, in turn (what a CPU
does by default); and all seeds of a device in one step (`jax.vmap`, what accelerators do). Then,
with `--config`, whole commands from start to end, each with nothing compiled before: `main.py` with
`num_seeds`, and once for each seed.

    python -m benchmarks.seeds --hidden_sizes=32,64,128,256 --config=configs/row_lstm.py:fast
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.cases import DTYPES, LEARNING_RATE, NUM_CLASSES, Case
from benchmarks.contender import Run, timed
from benchmarks.inputs import make_bytes
from benchmarks.machine import describe_command, describe_machine
from benchmarks.progress import Progress
from benchmarks.report import machine_line, publish
from seqvision.runtime.cpu_devices import prepare_host

IN_A_ROW, IN_TURN, IN_ONE_STEP = "in a row", "at once, in turn", "at once, in one step"
WAYS = (IN_A_ROW, IN_TURN, IN_ONE_STEP)
AT_ONCE = "at once"
# As in seqvision.training.resident.
_STEPS_PER_CALL = 100
_MIN_STEPS = 3


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked.

    Raises:
      UserError: one of them is wrong, or names results that are there.
    """
    parser = options.Parser("benchmarks.seeds", __doc__)
    add = parser.add_argument
    add("--num_seeds", type=options.count, default=8, help="by default 8")
    add("--hidden_sizes", type=_sizes, default=[128], metavar="H,H", help="by default 128")
    add("--batch_size", type=options.count, default=128, help="of each seed; by default 128")
    add("--dtype", choices=DTYPES, default="float32", help="of the products; by default float32")
    add("--execution", default="auto", help="of the recurrent layer; by default auto")
    add("--rounds", type=options.count, default=6, help="measurements of each; by default 6")
    add("--seconds", type=options.positive, default=1.0, help="of a measurement; by default 1")
    add("--config", default="", help="what whole commands train; by default there are none")
    add("--duration", default="", help="of each of these, such as '1 epochs'; by default its own")
    options.add_name(parser, "device and version")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        options.check_free(chosen.name, chosen.overwrite)
    return chosen


def build(way: str, case: Case, num_seeds: int, execution: str) -> Run:
    """What takes so many steps of all seeds."""
    import jax
    import numpy as np

    from seqvision.data.dataset import ArraySplit
    from seqvision.models import create_model
    from seqvision.runtime.mesh import DATA_AXIS, index_sharding, replicated, training_mesh
    from seqvision.tasks.base import Classification
    from seqvision.training.optimizer import create_optimizer
    from seqvision.training.state import create_state, make_init
    from seqvision.training.steps import make_train_steps

    trained = 1 if way == IN_A_ROW else num_seeds
    mesh = training_mesh(case.batch_size, trained)
    inputs, labels = make_bytes(case)
    arrays = jax.device_put(ArraySplit(inputs, labels).arrays, replicated(mesh))
    order = np.random.default_rng(1).permutation(len(labels)).astype(np.int32)
    table = np.resize(order, (_STEPS_PER_CALL, case.batch_size))
    if trained > 1:
        table = np.broadcast_to(table, (trained, *table.shape))
    indices = jax.device_put(table, index_sharding(mesh))
    model = create_model(
        num_classes=NUM_CLASSES,
        hidden_size=case.hidden_size,
        compute_dtype=case.dtype,
        execution=execution,
        axis_name=DATA_AXIS,
    )
    optimizer, objective = create_optimizer("adam", LEARNING_RATE), Classification(NUM_CLASSES)
    init = make_init(model, optimizer, case.input_shape, objective.zeros(), use_ema=False)
    state = create_state(init, mesh, 0, trained)
    train_steps = make_train_steps(
        model,
        optimizer,
        mesh,
        ArraySplit.take,
        objective,
        seed=0,
        seeds_together=way == IN_ONE_STEP,
    )

    def run(num_steps: int) -> None:
        nonlocal state
        left = num_steps * (num_seeds // trained)
        while left:
            now = min(left, _STEPS_PER_CALL)
            count = jax.device_put(np.int32(now), replicated(mesh))
            state, finite = train_steps(state, arrays, indices, count)
            if not np.all(jax.device_get(finite)):  # Waits for the devices.
                raise RuntimeError("training diverged")
            left -= now

    return run


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
    """Seconds of the commands, and what they said at the end."""
    length = [f"--config.duration={chosen.duration}"] if chosen.duration else []
    runs = {AT_ONCE: [(0, chosen.num_seeds)], IN_A_ROW: [(n, 1) for n in range(chosen.num_seeds)]}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, seeds in runs.items():
            environment = os.environ | {
                "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / f"{way}-compiled")
            }
            environment.pop("XLA_FLAGS", None)  # This process's own.
            seconds, said = [], []
            for first, number in seeds:
                tell(f"{way}: seeds {first} to {first + number - 1}")
                command = [sys.executable, "main.py", f"--config={chosen.config}", *length]
                command += [f"--config.seed={first}", f"--config.num_seeds={number}"]
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
                said.append(done.stdout.strip().splitlines()[-1])
            found[way] = {"seconds": seconds, "said": said}
    return found


def to_markdown(facts: dict[str, Any], rows: dict[int, dict[str, list[float]]]) -> str:
    num_seeds = facts["num_seeds"]
    lines = [
        f"# {facts['name']}",
        "",
        f"    {facts['command']}",
        "",
        f"{facts['date']}, commit {facts['commit']}. {machine_line(facts)}",
        "",
        ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "",
        f"Training steps of the row LSTM a second, counted over all {num_seeds} seeds: median"
        f" (lowest-highest) of {facts['rounds']} rounds of about {facts['seconds']:g} s, ways in"
        f" turn. Batch {facts['batch_size']}, T=28, D=28, {facts['dtype']}.",
        "",
        f"| H | {' | '.join(WAYS)} | {' | '.join(f'{way} / {IN_A_ROW}' for way in WAYS[1:])} |",
        "| --: " * (2 * len(WAYS)) + "|",
    ]
    for hidden_size, times in rows.items():
        speeds = {way: [1000 * num_seeds / ms for ms in times[way]] for way in times}
        medians = {way: statistics.median(speeds[way]) for way in speeds}
        cells = [
            f"{medians[way]:.1f} ({min(speeds[way]):.1f}-{max(speeds[way]):.1f})" for way in WAYS
        ]
        cells += [f"{medians[way] / medians[IN_A_ROW]:.2f}" for way in WAYS[1:]]
        lines.append(f"| {hidden_size} | {' | '.join(cells)} |")
    if facts["whole"]:
        seconds = {way: sum(found["seconds"]) for way, found in facts["whole"].items()}
        lines += [
            "",
            f"Whole commands, {facts['config']} {facts['duration']}: {num_seeds} seeds at once"
            f" {seconds[AT_ONCE]:.0f} s, {num_seeds} runs in a row {seconds[IN_A_ROW]:.0f} s"
            f" ({seconds[IN_A_ROW] / seconds[AT_ONCE]:.2f} times as long). They said:",
            "",
            *(f"    {line}" for found in facts["whole"].values() for line in found["said"]),
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    prepare_host(0, chosen.batch_size)
    import jax

    platform = jax.default_backend()
    name = chosen.name or f"seeds-{platform}-{options.PYTHON_VERSION}-jax{jax.__version__}"
    options.check_free(name, chosen.overwrite)
    facts: dict[str, Any] = {
        "name": name,
        **describe_command("benchmarks.seeds"),
        "machine": describe_machine(),
        "versions": {
            "python": sys.version.split()[0],
            "jax": jax.__version__,
            "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        },
        **{key: value for key, value in vars(chosen).items() if key not in ("name", "overwrite")},
        "whole": {},
    }
    progress = Progress(len(chosen.hidden_sizes) + bool(chosen.config))
    rows: dict[int, dict[str, list[float]]] = {}
    for hidden_size in chosen.hidden_sizes:
        case = Case("lstm", "training", chosen.batch_size, 28, 28, hidden_size, chosen.dtype)
        rows[hidden_size] = measure(case, chosen, progress.say)
        progress.advance(1)
    if chosen.config:
        facts["whole"] = whole_seconds(chosen, progress.say)
    ms = [{"hidden_size": size, "ms": times} for size, times in rows.items()]
    publish(name, {**facts, "steps": ms}, to_markdown(facts, rows))
    return 0


def _sizes(text: str) -> list[int]:
    return [options.count(size) for size in text.split(",")]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, options.leave)
    sys.exit(options.run(main))
