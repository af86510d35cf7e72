"""ms per step of seqvision's LSTM beside Flax, PyTorch and Keras.

    python -m benchmarks.speed.lstm --dtype=bfloat16

This process needs the standard library alone. Each contender runs in a process of its own, stopped
while another is measured, and all take turns. Results go into benchmarks/results/ after every case.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import options, report
from benchmarks.progress import Progress
from benchmarks.speed.cases import CASE_SETS, DTYPES, Case, case_set
from benchmarks.speed.comparison import Measurement, compare
from benchmarks.speed.comparison_report import body, raw_cases
from benchmarks.speed.process import WorkerError, WorkerProcess, worker_process
from seqvision.errors import UserError

CONTENDERS = (
    *("seqvision", "seqvision_scan", "seqvision_fused", "seqvision_native"),
    *("flax", "torch", "keras"),
)
_DEFAULT = {
    "table": CONTENDERS,
    "scaling": ("seqvision",),
    "networks": ("seqvision", "seqvision_scan", "torch"),
    "executions": ("seqvision_scan", "seqvision_fused", "seqvision_native"),
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """See `options.Parser.parse`."""
    parser = options.Parser("benchmarks.speed.lstm", __doc__)
    add = parser.add_argument
    add("--cases", choices=CASE_SETS, default="table", help="set of cases; by default table")
    add("--dtype", choices=DTYPES, default="float32", help="of the products; by default float32")
    add("--only", type=options.pattern, default="", help="regular expression that picks cases")
    add("--list", action="store_true", help="print the cases and end")
    add("--rounds", type=options.count, default=6, help="measurements of each; by default 6")
    words = "length of one measurement, which has at least 3 steps; by default 1"
    add("--seconds", type=options.positive, default=1.0, help=words)
    options.add_contenders(parser, CONTENDERS, "those that suit the cases")
    chosen = parser.parse(arguments)
    chosen.contenders = chosen.contenders or _DEFAULT[chosen.cases]
    chosen.cases_to_run = [
        case for case in case_set(chosen.cases, chosen.dtype) if chosen.only.search(case.name)
    ]
    if not chosen.cases_to_run:
        raise UserError(
            f"--only: '{chosen.only.pattern}' picks none of the cases of --cases={chosen.cases};"
            " --list prints them"
        )
    return chosen


def start(chosen: argparse.Namespace) -> tuple[list[WorkerProcess], dict, dict[str, str]]:
    """Starts the contenders.

    Returns:
      Those that run, their versions by name, and why the others do not.
    """
    pythons = {"torch": chosen.torch_python, "keras": chosen.keras_python}
    workers, versions, missing = [], {}, {}
    for name in chosen.contenders:
        worker = worker_process(name, pythons.get(name, sys.executable))
        try:
            versions[name] = worker.start()
            workers.append(worker)
        except WorkerError as error:
            missing[name] = str(error)
            hint = ""
            if "ModuleNotFoundError" in str(error):
                hint = "; install it with pip install -e '.[bench]'"
                if name in pythons:
                    hint += f", or name a Python that has it with --{name}_python"
            print(f"{name}: left out: {error}{hint}", file=sys.stderr)
    if not workers:
        raise UserError("none of the contenders runs; see the lines above")
    return workers, versions, missing


def measure(
    chosen: argparse.Namespace, workers: Sequence[WorkerProcess], facts: dict[str, Any]
) -> None:
    """Measures case by case; the results are written after each."""
    results: list[tuple[Case, dict[str, Measurement]]] = []
    progress = Progress(len(chosen.cases_to_run))
    for number, case in enumerate(chosen.cases_to_run):
        title = f"case {number + 1}/{len(chosen.cases_to_run)}: {case.name}"

        def tell(turn: str, title: str = title) -> None:
            progress.show(f"{title}  {turn}")

        measured = compare(workers, case, chosen.rounds, chosen.seconds, tell)
        progress.advance()
        results.append((case, measured))
        for contender, measurement in measured.items():
            print(f"{case.name}  {contender}: {_outcome(measurement)}", flush=True)
        report.write(facts | {"cases": raw_cases(results)}, body(facts, results))


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    if chosen.list:
        print("\n".join(case.name for case in chosen.cases_to_run))
        return 0
    workers: list[WorkerProcess] = []
    try:
        workers, versions, missing = start(chosen)
        facts = report.begin(
            chosen,
            f"{chosen.cases}-{chosen.dtype}",
            device=next((facts["device"] for facts in versions.values() if "jax" in facts), ""),
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            contenders=versions,
            missing=missing,
        )
        measure(chosen, workers, facts)
    finally:
        for worker in workers:
            worker.close()
    print(f"benchmarks/results/{facts['name']}.md and .json")
    return 0


def _outcome(measurement: Measurement) -> str:
    if measurement.median is None:
        return f"no result: {measurement.error}"
    low, high = min(measurement.ms), max(measurement.ms)
    return f"{measurement.median:.3f} ms ({low:.3f}-{high:.3f}), {measurement.setting}"


if __name__ == "__main__":
    sys.exit(options.run(main))
