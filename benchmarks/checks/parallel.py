"""A check that one run is the same on any number of devices and processes.

    python -m benchmarks.checks.parallel --steps=100

Trains the row LSTM on MNIST on 1, 2 and 8 CPU devices in one process, and in 2 and 4 processes that
meet over loopback. For each it prints the training loss of all steps together and of the last ones,
the largest difference of a final weight from that of one device, and the SHA-256 of the numbers of
all examples in the order in which the devices are given them. Then it kills (SIGKILL) one of two
processes half-way, runs the same command again, and compares the final weights bit by bit.
"""

import argparse
import hashlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import options, report
from benchmarks.progress import Progress

# (processes, devices of each)
_LAYOUTS = ((1, 1), (1, 2), (1, 8), (2, 1), (4, 1), (4, 2))
_LOG_STEPS = 10


def begin(
    workdir: Path, chosen: argparse.Namespace, processes: int, devices: int
) -> list[subprocess.Popen[str]]:
    """Starts training in that many processes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    fields = {
        "data.batch_size": chosen.batch_size,
        "duration": f"{chosen.steps} steps",
        "log_every": f"{_LOG_STEPS} steps",
        "checkpoint.every": f"{_LOG_STEPS} steps",
        "evaluate_every": "never",
        "checkpoint.keep_best": False,
    }
    flags = ["--config=configs/row_lstm.py", f"--host_devices={devices}"]
    flags += [f"--config.{name}={value}" for name, value in fields.items()]
    if processes > 1:
        flags += [f"--coordinator_address={address}", f"--num_processes={processes}"]
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.checks.parallel_worker"),
                *(str(workdir), str(_examples_file(workdir, process)), *flags),
                *[f"--process_id={process}"] * (processes > 1),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]


def end(started: Sequence[subprocess.Popen[str]]) -> list[int]:
    """Waits for the processes; returns their exit codes."""
    try:
        for number, process in enumerate(started):
            error = process.communicate()[1]
            lines = [line for line in error.splitlines() if line.startswith("error:")]
            if lines:
                print(f"    process {number}: {lines[-1]}")
    finally:
        for process in started:
            process.kill()
    return [process.returncode for process in started]


def kill_at(step: int, workdir: Path, process: subprocess.Popen[str]) -> int:
    """Kills a process once the run has recorded that step; returns the step it had recorded."""
    from seqvision.runs.records import read_metrics

    while True:
        reached = max((row["step"] for row in read_metrics(workdir)), default=0)
        if reached >= step:
            process.send_signal(signal.SIGKILL)
            return reached
        if process.poll() is not None:
            raise SystemExit("the run ended before it could be killed; raise --steps")
        time.sleep(0.002)


def examples(workdir: Path, processes: int, chosen: argparse.Namespace) -> np.ndarray:
    """The numbers (steps, batch) of the examples that the devices were given; each once."""
    table = np.full((chosen.steps, chosen.batch_size), -1, np.int32)
    for process in range(processes):
        for shard in json.loads(_examples_file(workdir, process).read_text()):
            rows = np.array(shard["rows"], np.int32)
            columns = np.s_[:, shard["column"] : shard["column"] + rows.shape[1]]
            assert (table[columns] == -1).all(), "an example is read twice"
            table[columns] = rows
    assert (table >= 0).all(), "an example is not read"
    return table


def weights(workdir: Path) -> dict[str, np.ndarray]:
    from seqvision.models.parameters import named_leaves
    from seqvision.runs.saved_run import load_run

    return {name: np.asarray(leaf) for name, leaf in named_leaves(load_run(workdir).params)}


def losses(workdir: Path) -> list[float]:
    from seqvision.runs.records import read_metrics

    return [row["loss"] for row in read_metrics(workdir) if row["split"] == "train"]


def difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """The largest of a weight."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def compare_layouts(
    folder: Path, chosen: argparse.Namespace, progress: Progress
) -> list[dict[str, Any]]:
    """Trains on every layout."""
    found: list[dict[str, Any]] = []
    first: dict[str, np.ndarray] = {}
    for processes, devices in _LAYOUTS:
        progress.show(f"{processes} processes of {devices} devices")
        workdir = folder / f"{processes}x{devices}"
        codes = end(begin(workdir, chosen, processes, devices))
        assert not any(codes), codes
        trained = weights(workdir)
        first = first or trained
        order = examples(workdir, processes, chosen)
        found.append(
            {
                "processes": processes,
                "devices": processes * devices,
                "mean_loss": float(np.mean(losses(workdir))),
                "last_loss": losses(workdir)[-1],
                "largest_difference": difference(first, trained),
                "examples_sha256": hashlib.sha256(order.tobytes()).hexdigest(),
            }
        )
        progress.advance(processes)
    return found


def kill_and_resume(folder: Path, chosen: argparse.Namespace) -> tuple[int, bool]:
    """The step at which one of two processes was killed; whether the weights are the same bits."""
    workdir = folder / "killed"
    started = begin(workdir, chosen, 2, 1)
    killed_at = kill_at(chosen.steps // 2, workdir, started[1])
    codes = end(started)
    assert codes[1] == -signal.SIGKILL and codes[0] > 0, codes
    codes = end(begin(workdir, chosen, 2, 1))
    assert codes == [0, 0], codes
    return killed_at, difference(weights(folder / "2x1"), weights(workdir)) == 0


def body(facts: Mapping[str, Any]) -> list[str]:
    header = ["processes", "devices in all", "mean loss", "last loss", "weights differ", "SHA-256"]
    rows = [
        [
            str(case["processes"]),
            str(case["devices"]),
            f"{case['mean_loss']:.6f}",
            f"{case['last_loss']:.6f}",
            f"{case['largest_difference']:.1e}",
            case["examples_sha256"][:12],
        ]
        for case in facts["layouts"]
    ]
    same = "the same bits" if facts["same_after_kill"] else "NOT the same"
    return [
        *report.table(header, rows, num_words=0),
        "",
        f"One of two processes was killed at about step {facts['killed_at']}, and the command run"
        f" again: the final weights are {same}.",
    ]


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.parallel", __doc__)
    parser.add_argument("--steps", type=options.count, default=100, help="by default 100")
    parser.add_argument("--batch_size", type=options.count, default=256, help="by default 256")
    chosen = parser.parse(arguments)
    facts = report.begin(chosen, "parallel", steps=chosen.steps, batch_size=chosen.batch_size)
    progress = Progress(sum(processes for processes, _ in _LAYOUTS) + 4)
    with tempfile.TemporaryDirectory() as folder:
        facts["layouts"] = compare_layouts(Path(folder), chosen, progress)
        progress.show("two processes, of which one is killed; then again")
        facts["killed_at"], facts["same_after_kill"] = kill_and_resume(Path(folder), chosen)
    print(report.write(facts, body(facts)))
    orders = {case["examples_sha256"] for case in facts["layouts"]}
    return int(not facts["same_after_kill"] or len(orders) > 1)


def _examples_file(workdir: Path, process: int) -> Path:
    return workdir.with_name(f"{workdir.name}-{process}.json")


if __name__ == "__main__":
    sys.exit(options.run(main))
