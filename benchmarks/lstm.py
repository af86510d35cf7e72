"""ms per step of seqvision's LSTM beside Flax, PyTorch and Keras: `python -m benchmarks.lstm`.

This process needs the standard library alone. Each contender runs in a process of its own, stopped
while another is measured, and all take turns. Results go into benchmarks/results/ after every case.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from benchmarks import options
from benchmarks.cases import CASE_SETS, DTYPES, Case, case_set
from benchmarks.comparison import Measurement, compare
from benchmarks.machine import describe_command, describe_machine
from benchmarks.process import MissingLibraryError, WorkerError, WorkerProcess, worker_process
from benchmarks.progress import Progress
from benchmarks.report import to_json, to_markdown, write_whole
from seqvision.errors import UserError

CONTENDERS = ("seqvision", "seqvision_scan", "seqvision_fused", "flax", "torch", "keras")
_DEFAULT = {
    "table": CONTENDERS,
    "scaling": ("seqvision",),
    "networks": ("seqvision", "seqvision_scan", "torch"),
    "executions": ("seqvision_scan", "seqvision_fused"),
}
# Work of preparing a case, in measured seconds; only the ETA depends on it.
_PREPARE_WORK = 8.0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked.

    Raises:
      UserError: one of them is wrong, or names results that are there.
    """
    parser = options.Parser("benchmarks.lstm", __doc__)
    add = parser.add_argument
    add("--cases", choices=CASE_SETS, default="table", help="set of cases; by default table")
    add("--dtype", choices=DTYPES, default="float32", help="of the products; by default float32")
    add("--only", type=options.pattern, default="", help="regular expression that picks cases")
    add("--list", action="store_true", help="print the cases and end")
    add(
        "--contenders",
        default="",
        metavar="A,B",
        help=f"some of {', '.join(CONTENDERS)}; by default those that suit the cases",
    )
    add("--rounds", type=options.count, default=6, help="measurements of each; by default 6")
    add(
        "--seconds",
        type=options.positive,
        default=1.0,
        help="length of one measurement, which has at least 3 steps; by default 1",
    )
    options.add_pythons(parser)
    options.add_name(parser, "cases, dtype and versions")
    chosen = parser.parse_args(arguments)
    allowed = CONTENDERS
    default = ",".join(_DEFAULT[chosen.cases])
    chosen.contenders = options.names(chosen.contenders or default, "--contenders", allowed)
    chosen.cases_to_run = [
        case for case in case_set(chosen.cases, chosen.dtype) if chosen.only.search(case.name)
    ]
    if not chosen.cases_to_run:
        raise UserError(
            f"--only: '{chosen.only.pattern}' picks none of the cases of --cases={chosen.cases};"
            " --list prints them"
        )
    if chosen.name:
        options.check_free(chosen.name, chosen.overwrite)
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
            if isinstance(error, MissingLibraryError):
                hint = "; install it with pip install -e '.[bench]'"
                if name in pythons:
                    hint += f", or name a Python that has it with --{name}_python"
            print(f"{name}: left out: {error}{hint}", file=sys.stderr)
    if not workers:
        raise UserError("none of the contenders runs; see the lines above")
    return workers, versions, missing


def default_name(chosen: argparse.Namespace, versions: dict[str, dict[str, str]]) -> str:
    """For example `table-float32-python3.12-jax0.12.0`."""
    first = next((facts for facts in versions.values() if "jax" in facts), {})
    device = first.get("device", "")
    parts = [chosen.cases, chosen.dtype, options.PYTHON_VERSION]
    parts += [f"jax{first['jax']}"] if first else []
    parts += ["gpu"] if device and "cpu" not in device.lower() else []
    return "-".join(parts)


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    if chosen.list:
        print("\n".join(case.name for case in chosen.cases_to_run))
        return 0
    workers: list[WorkerProcess] = []
    try:
        workers, versions, missing = start(chosen)
        name = chosen.name or default_name(chosen, versions)
        options.check_free(name, chosen.overwrite)
        facts = {
            "name": name,
            **describe_command("benchmarks.lstm"),
            "machine": describe_machine(),
            "rounds": chosen.rounds,
            "seconds": chosen.seconds,
            "contenders": versions,
            "missing": missing,
        }
        results: list[tuple[Case, dict[str, Measurement]]] = []
        progress = Progress(sum(_work(case, chosen) for case in chosen.cases_to_run))
        for number, case in enumerate(chosen.cases_to_run):
            title = f"case {number + 1}/{len(chosen.cases_to_run)}: {case.name}"
            measured = compare(
                workers,
                case,
                chosen.rounds,
                chosen.seconds,
                tell=lambda turn, title=title: progress.say(f"{title}  {turn}"),  # type: ignore[misc]
            )
            progress.advance(_work(case, chosen))
            results.append((case, measured))
            for contender, measurement in measured.items():
                print(f"{case.name}  {contender}: {_outcome(measurement)}", flush=True)
            write_whole(options.RESULTS / f"{name}.json", to_json(facts, results))
            write_whole(options.RESULTS / f"{name}.md", to_markdown(facts, results))
    finally:
        for worker in workers:
            worker.close()
    print(f"benchmarks/results/{name}.md and .json")
    return 0


def _work(case: Case, chosen: argparse.Namespace) -> float:
    return _PREPARE_WORK * (1 + case.weight) + chosen.rounds * max(chosen.seconds, 3 * case.weight)


def _outcome(measurement: Measurement) -> str:
    if measurement.median is None:
        return f"no result: {measurement.error}"
    low, high = min(measurement.ms), max(measurement.ms)
    return f"{measurement.median:.3f} ms ({low:.3f}-{high:.3f}), {measurement.setting}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, options.leave)
    sys.exit(options.run(main))
