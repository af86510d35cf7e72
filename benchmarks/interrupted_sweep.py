"""Whether interruptions and shares show in the table of a sweep.

    python -m benchmarks.interrupted_sweep --config=configs/sweeps/cells.py \\
        --config.duration='40 steps' --config.evaluate_every='20 steps' \\
        --config.checkpoint.every='10 steps' --config.log_every='5 steps' --folder=runs/check

The sweep is run three times: straight through; killed (SIGKILL) twice at random moments and run
again; and as three shares at once in one folder. Other arguments go to main.py.
"""

import csv
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options

_SHARES = 3
_KILLS = 2


def pure_table(folder: Path) -> list[dict[str, str]]:
    """A sweep's table without its times."""
    with (folder / "sweep.csv").open() as file:
        return [
            {name: cell for name, cell in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def begin(arguments: Sequence[str], folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Starts the sweep; what it says goes into a file beside its folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "main.py", *arguments, "--mode=sweep", f"--workdir={folder}", *more]
    with folder.with_suffix(".txt").open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def kill_somewhere(arguments: Sequence[str], folder: Path, num_begun: int) -> str:
    """Kills the sweep while it is at its run of that number; says where that was."""
    process = begin(arguments, folder)
    while len(list(folder.glob("*/metrics.jsonl"))) < num_begun:
        if process.poll() is not None:
            raise SystemExit(f"{folder}: the sweep ended before it could be killed")
        time.sleep(0.05)
    time.sleep(random.Random(num_begun).uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return f"killed at run {num_begun}"


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.interrupted_sweep", __doc__ or "")
    parser.add_argument("--folder", type=Path, required=True, help="for the three sweeps; new")
    chosen, rest = parser.parse_known_args(arguments)
    whole, cut, shared = (chosen.folder / name for name in ("whole", "cut", "shared"))
    begin(rest, whole).wait()
    table = pure_table(whole)
    print(f"straight through: {len(table)} runs, {sum(r['status'] == 'done' for r in table)} done")
    for number in range(1, _KILLS + 1):
        print(kill_somewhere(rest, cut, number * len(table) // (_KILLS + 1)))
    begin(rest, cut).wait()
    shares = [begin(rest, shared, f"--sweep_shard={i}/{_SHARES}") for i in range(_SHARES)]
    for share in shares:
        share.wait()
    same = [pure_table(folder) == table for folder in (cut, shared)]
    said = shared.with_suffix(".txt").read_text()
    counts = [said.count(f"\n{row['run']}: begins\n") for row in table]
    print(
        f"killed {_KILLS} times and run again: {'the same table' if same[0] else 'another table'}"
    )
    print(f"{_SHARES} shares at once: {'the same table' if same[1] else 'another table'}")
    print(f"runs that were begun once by the shares: {counts.count(1)} of {len(table)}")
    return int(not (all(same) and counts.count(1) == len(table)))


if __name__ == "__main__":
    sys.exit(options.run(main))
