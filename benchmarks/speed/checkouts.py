"""Training steps of one config by the code of two checkouts, in turn: did a change make it faster?

    git worktree add ../before 77ebe32
    python -m benchmarks.speed.checkouts --against=../before --config=column_reader

Prints ms per step of both, by the clock and by processor time, which other work disturbs less; and
how many times as long the other checkout takes. The config is that of each checkout.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import options
from benchmarks.progress import Progress
from benchmarks.speed.process import WorkerError, WorkerProcess
from seqvision.errors import UserError

_WORKER = Path(__file__).with_name("checkout_worker.py")
_TIMES = ("wall", "processor")


def worker_of(checkout: Path, config: str, batch_size: int) -> WorkerProcess:
    """The process that trains with the code of a checkout."""
    name, _, variant = config.partition(":")
    if not (checkout / "configs" / f"{name}.py").is_file():
        raise UserError(
            f"--config: there is no configs/{name}.py in {checkout}; name a config of both"
            " checkouts, such as column_reader or row_lstm:fast"
        )
    # Without the folder of the script on the path.
    command = [sys.executable, "-P", str(_WORKER), name, variant, str(batch_size)]
    return WorkerProcess(str(checkout), command, {"PYTHONPATH": str(checkout.absolute())})


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.speed.checkouts", __doc__, results=False)
    add = parser.add_argument
    add("--against", type=Path, required=True, help="the other checkout")
    add("--config", default="column_reader", help="a name in configs/, with its variant")
    add("--batch_size", type=int, default=0, help="examples; by default those of the config")
    add("--rounds", type=options.count, default=6, help="of both in turn")
    add("--steps", type=options.count, default=8, help="of each in a round")
    chosen = parser.parse_args(arguments)
    workers = [
        worker_of(checkout, chosen.config, chosen.batch_size)
        for checkout in (Path(), chosen.against)
    ]
    found: list[dict[str, list[float]]] = [{time: [] for time in _TIMES} for _ in workers]
    progress = Progress(2 + 2 * chosen.rounds)
    try:
        for worker in workers:
            progress.show(f"compiling {worker.name}")
            worker.start()
            progress.advance()
        for _ in range(chosen.rounds):
            for worker, times in zip(workers, found, strict=True):
                progress.show(worker.name)
                answer = worker.ask({"steps": chosen.steps})
                progress.advance()
                for time in _TIMES:
                    times[time].append(answer[time])
    except WorkerError as error:
        raise UserError(f"{worker.name}: {error}") from None
    finally:
        for worker in workers:
            worker.close()
    for time in _TIMES:
        here, there = (statistics.median(times[time]) for times in found)
        ratios = [b / a for a, b in zip(*(times[time] for times in found), strict=True)]
        print(
            f"{time:<10} {here:8.2f} ms here, {there:8.2f} ms there, ratio of a round"
            f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
