"""A check that neither interruptions nor shards show in the table of a sweep.

    python -m benchmarks.checks.interrupted_sweep --config=configs/sweeps/cells.py \\
        --config.duration='40 steps' --config.evaluate_every='20 steps' \\
        --config.checkpoint.every='10 steps' --config.log_every='5 steps' --folder=runs/check

The sweep is run three times: straight through; killed (SIGKILL) twice at random moments and run
again; and as three shards at once in one folder. Other arguments go to main.py.
"""

import csv
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options, report
from benchmarks.progress import Progress

_SHARDS = 3
_KILLS = 2


def table_without_times(folder: Path) -> list[dict[str, str]]:
    """The table of a finished sweep."""
    path = folder / "sweep.csv"
    if not path.exists():
        raise SystemExit(f"{folder}: the sweep failed; see {folder.with_suffix('.txt')}")
    with path.open() as file:
        return [
            {name: cell for name, cell in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def begin(arguments: Sequence[str], folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Starts the sweep; its output goes into a file beside its folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "main.py", *arguments, "--mode=sweep", f"--workdir={folder}", *more]
    with folder.with_suffix(".txt").open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def kill_during(arguments: Sequence[str], folder: Path, num_begun: int) -> None:
    """Kills the sweep during its run of that number."""
    process = begin(arguments, folder)
    while len(list(folder.glob("*/metrics.jsonl"))) < num_begun:
        if process.poll() is not None:
            raise SystemExit(f"{folder}: the sweep ended before it could be killed")
        time.sleep(0.05)
    time.sleep(random.Random(num_begun).uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    process.wait()


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.interrupted_sweep", __doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for the three sweeps; new")
    chosen, flags = parser.parse_known_args(arguments)
    facts = report.begin(chosen, "interrupted_sweep")
    whole, cut, sharded = (chosen.folder / name for name in ("whole", "cut", "sharded"))
    progress = Progress(3)
    progress.show("straight through")
    begin(flags, whole).wait()
    table = table_without_times(whole)
    progress.advance()
    for number in range(1, _KILLS + 1):
        num_begun = number * len(table) // (_KILLS + 1)
        progress.show(f"until it is killed at run {num_begun}")
        kill_during(flags, cut, num_begun)
    progress.show("run again")
    begin(flags, cut).wait()
    progress.advance()
    progress.show(f"{_SHARDS} shards at once")
    shards = [begin(flags, sharded, f"--sweep_shard={i}/{_SHARDS}") for i in range(_SHARDS)]
    for shard in shards:
        shard.wait()
    output = sharded.with_suffix(".txt").read_text()
    counts = [output.count(f"\n{row['run']}: begins\n") for row in table]
    facts |= {
        "runs": len(table),
        "runs_done": sum(row["status"] == "done" for row in table),
        "kills": _KILLS,
        "same_table_after_kills": table_without_times(cut) == table,
        "shards": _SHARDS,
        "same_table_of_shards": table_without_times(sharded) == table,
        "runs_begun_once_by_the_shards": counts.count(1),
    }
    words = {True: "the same table", False: "ANOTHER table"}
    body = [
        f"- straight through: {len(table)} runs, {facts['runs_done']} done",
        f"- killed {_KILLS} times and run again: {words[facts['same_table_after_kills']]}",
        f"- {_SHARDS} shards at once: {words[facts['same_table_of_shards']]}",
        f"- runs that were begun once by the shards: {counts.count(1)} of {len(table)}",
    ]
    print(report.write(facts, body))
    same = facts["same_table_after_kills"] and facts["same_table_of_shards"]
    return int(not (same and counts.count(1) == len(table)))


if __name__ == "__main__":
    sys.exit(options.run(main))
