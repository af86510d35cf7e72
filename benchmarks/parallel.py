"""Whether one run is the same on any number of devices and processes.

    python -m benchmarks.parallel --steps=100

Trains the row LSTM on MNIST on 1, 2 and 8 CPU devices in one process, and in 2 and 4 processes that
meet over loopback. For each it prints the training loss of all steps together and of the last ones,
the largest difference of a final weight from that of one device, and the SHA-256 of the numbers of
all examples in the order in which the devices were given them. Then it kills (SIGKILL) one of two
processes half-way, runs the same command again, and compares the final weights bit by bit.
"""

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import options

# (processes, devices of each)
_LAYOUTS = ((1, 1), (1, 2), (1, 8), (2, 1), (4, 1), (4, 2))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked."""
    parser = options.Parser("benchmarks.parallel", __doc__)
    parser.add_argument("--steps", type=options.count, default=100, help="by default 100")
    parser.add_argument("--batch_size", type=options.count, default=256, help="by default 256")
    return parser.parse_args(arguments)


def train(
    workdir: Path, chosen: argparse.Namespace, processes: int, devices: int, kill_at: int = -1
) -> list[int]:
    """Trains in that many processes, of which the last kills itself; returns their exit codes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    fields = {
        "data.batch_size": chosen.batch_size,
        "duration": f"{chosen.steps} steps",
        "log_every": "10 steps",
        "checkpoint.every": "10 steps",
        "evaluate_every": "never",
        "checkpoint.keep_best": False,
    }
    command = [
        *(sys.executable, "-m", "benchmarks.parallel_worker"),
        *("--config=configs/row_lstm.py", f"--workdir={workdir}", f"--host_devices={devices}"),
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]
    started = []
    for process in range(processes):
        place = [
            f"--coordinator_address={address}",
            f"--num_processes={processes}",
            f"--process_id={process}",
        ]
        environment = {
            "NOTES": str(workdir.with_name(f"{workdir.name}-{process}.jsonl")),
            "KILL_AT": str(kill_at if process == processes - 1 else -1),
        }
        started.append(
            subprocess.Popen(
                command + place * (processes > 1),
                env=os.environ | environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process, running in enumerate(started):
        error = running.communicate()[1]
        lines = [line for line in error.splitlines() if line.startswith("error:")]
        if lines:
            print(f"    process {process}: {lines[-1]}")
    return [running.returncode for running in started]


def examples(workdir: Path, processes: int, chosen: argparse.Namespace) -> np.ndarray:
    """The numbers (steps, batch) of the examples that the devices were given; each once."""
    table = np.full((chosen.steps, chosen.batch_size), -1, np.int32)
    for process in range(processes):
        notes = workdir.with_name(f"{workdir.name}-{process}.jsonl")
        for line in notes.read_text().splitlines():
            note = json.loads(line)
            rows = np.array(note["rows"], np.int32)
            part = np.s_[note["step"] : note["step"] + len(rows)]
            columns = np.s_[note["column"] : note["column"] + rows.shape[1]]
            assert (table[part, columns] == -1).all(), "an example is read twice"
            table[part, columns] = rows
    assert (table >= 0).all(), "an example is not read"
    return table


def weights(workdir: Path) -> dict[str, np.ndarray]:
    from seqvision.models.parameters import named_leaves
    from seqvision.runs.saved_run import load_run

    return {name: np.asarray(leaf) for name, leaf in named_leaves(load_run(workdir).params)}


def losses(workdir: Path) -> list[float]:
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["split"] == "train"]


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        head = ("processes", "devices", "mean loss", "last loss", "weights differ", "SHA-256")
        print("".join(f"{name:<16}" for name in head))
        first: dict[str, np.ndarray] = {}
        for processes, devices in _LAYOUTS:
            workdir = Path(folder) / f"{processes}x{devices}"
            codes = train(workdir, chosen, processes, devices)
            assert not any(codes), codes
            found = weights(workdir)
            first = first or found
            read = examples(workdir, processes, chosen)
            cells = (
                f"{processes}",
                f"{processes * devices}",
                f"{np.mean(losses(workdir)):.6f}",
                f"{losses(workdir)[-1]:.6f}",
                f"{difference(first, found):.1e}",
                hashlib.sha256(read.tobytes()).hexdigest()[:12],
            )
            print("".join(f"{cell:<16}" for cell in cells), flush=True)
        workdir = Path(folder) / "killed"
        codes = train(workdir, chosen, 2, 1, kill_at=chosen.steps // 2)
        assert codes[1] == -signal.SIGKILL and codes[0] > 0, codes
        print(f"one of two processes killed at step {chosen.steps // 2}: the other ends with 1")
        codes = train(workdir, chosen, 2, 1)
        assert codes == [0, 0], codes
        same = difference(weights(Path(folder) / "2x1"), weights(workdir)) == 0
        print(f"run again: the final weights are {'the same bits' if same else 'NOT the same'}")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
