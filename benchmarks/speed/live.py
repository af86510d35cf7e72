"""How long a push of columns takes, from columns in the host's memory to their events.

    python -m benchmarks.speed.live --workdir=runs/column_reader --before=../seqvision-0.2.0

The same trained reader in seqvision (its engine is `auto`: onnxruntime; and the one that it takes
without onnxruntime), in the build before (a checkout of it), as the exported step in ONNX Runtime,
and in PyTorch (eager, and compiled), each in a process of its own, in turn. One line, or many side
by side, and 1, 8 or 64 columns at a time. Before anything is timed, the events of all are compared
in each of these cases.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.machine import commit_of, describe_devices
from benchmarks.progress import Progress
from benchmarks.speed.process import WorkerError, WorkerProcess
from seqvision import prepare_host
from seqvision.errors import UserError

CONTENDERS = ("seqvision", "without", "onnxruntime", "torch", "torch_compiled")
CASES = ((1, 1), (1, 8), (1, 64), (8, 1), (8, 8), (256, 1), (256, 8))
"""Streams, and columns of each in a push."""
_NUM_LINES = 200
_APART = 1e-5
"""Of two confidences."""
_SETTLE = 0.5
"""Seconds after a contender, whose threads may still wait for work and take a core."""


def start(
    name: str, checkout: Path, workdir: Path, files: Path, python: str
) -> tuple[WorkerProcess, str]:
    """The process of a contender, and why it has none, or ""."""
    worker = Path(__file__).with_name("live_worker.py")
    kind = "seqvision" if name == "before" else name
    command = [python, str(worker), kind, str(workdir.absolute()), str(files)]
    process = WorkerProcess(name, command, {"PYTHONPATH": str(checkout.absolute())})
    try:
        process.start()
    except WorkerError as error:
        return process, str(error)
    return process, ""


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.speed.live", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads text")
    add("--before", type=Path, help="a checkout of the build before")
    add("--rounds", type=options.count, default=6, help="of each case; by default 6")
    add("--seconds", type=options.positive, default=1.0, help="of each round; by default 1")
    chosen = parser.parse(arguments)
    prepare_host()
    import numpy as np

    from benchmarks.lines import load_test_lines, read_text_settings

    settings = read_text_settings(chosen.workdir)
    facts = report.begin(chosen, "live", describe_devices(), cases=[], failed={})
    root = Path(__file__).parents[2]
    checkouts = {"seqvision": root}
    if chosen.before is not None:
        checkouts["before"], facts["before"] = chosen.before, commit_of(chosen.before)
    checkouts |= dict.fromkeys(CONTENDERS[1:], root)
    with tempfile.TemporaryDirectory() as folder:
        lines = np.concatenate(load_test_lines(settings, _NUM_LINES), axis=1)
        np.save(Path(folder, "lines.npy"), lines)
        _write_step(chosen.workdir, Path(folder))
        workers = {}
        for name, checkout in checkouts.items():
            worker, error = start(name, checkout, chosen.workdir, Path(folder), sys.executable)
            if error:
                facts["failed"][name] = error
            else:
                workers[name] = worker
        try:
            _check_events(workers)
            progress = Progress(len(CASES) * chosen.rounds)
            for streams, columns in CASES:
                facts["cases"].append(
                    _measure(workers, streams, columns, chosen.rounds, chosen.seconds, progress)
                )
        finally:
            for worker in workers.values():
                worker.close()
    print(report.write(facts, body(facts)))
    return 0


def _write_step(workdir: Path, folder: Path) -> None:
    """`step.onnx`, for the contenders that need it."""
    from seqvision.models.parameters import on_host
    from seqvision.onnx.step import network_step
    from seqvision.runs.saved_run import load_run

    run = load_run(workdir)
    model: Any = run.model
    graph = network_step(model, on_host(run.params), run.data.input_shape)
    (folder / "step.onnx").write_bytes(graph.model().SerializeToString())


def _check_events(workers: Mapping[str, WorkerProcess]) -> None:
    """Raises UserError where a contender reads columns otherwise than seqvision, in any case."""
    for streams, columns in CASES:
        request = {"do": "read", "streams": streams, "columns": columns}
        events = {name: worker.ask(request)["events"] for name, worker in workers.items()}
        for name, found in events.items():
            if reason := difference(events["seqvision"], found):
                raise UserError(
                    f"{name} reads otherwise ({streams} lines, {columns} columns of each in a push:"
                    f" {reason}); nothing was measured"
                )


def difference(expected: Sequence[Sequence[Any]], found: Sequence[Sequence[Any]]) -> str:
    """Why events are not the same, or "". Confidences, the only fractions, may be 1e-5 apart."""
    for number, (one, other) in enumerate(zip(expected, found, strict=False)):
        pairs = list(zip(one, other, strict=True))
        far = [a != b and not (isinstance(a, float) and abs(a - b) <= _APART) for a, b in pairs]
        if any(far):
            return f"event {number} is {list(other)}, seqvision's is {list(one)}"
    counts = (len(found), len(expected))
    return "" if counts[0] == counts[1] else f"{counts[0]} events, seqvision has {counts[1]}"


def _measure(
    workers: Mapping[str, WorkerProcess],
    streams: int,
    columns: int,
    rounds: int,
    seconds: float,
    progress: Progress,
) -> dict[str, Any]:
    request = {"streams": streams, "columns": columns, "seconds": seconds}
    for worker in workers.values():
        worker.ask({"do": "measure"} | request | {"seconds": 0.1})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for _ in range(rounds):
        progress.show(f"{streams} lines, {columns} columns of each in a push")
        for name, worker in workers.items():
            time.sleep(_SETTLE)
            found[name].append(worker.ask({"do": "measure"} | request))
        progress.advance()
    medians = {
        name: {key: statistics.median(one[key] for one in all_rounds) for key in all_rounds[0]}
        for name, all_rounds in found.items()
    }
    return {"streams": streams, "columns": columns, "medians": medians, "rounds": found}


def body(facts: Mapping[str, Any]) -> list[str]:
    """A row for each case and contender; medians over the rounds."""
    header = ["lines", "columns of each", "contender", "p50, ms", "p99, ms", "columns/s"]
    header.append("p50 / seqvision's")
    rows = []
    for case in facts["cases"]:
        own = case["medians"]["seqvision"]["p50_ms"]
        for name, found in case["medians"].items():
            rows.append(
                [
                    str(case["streams"]),
                    str(case["columns"]),
                    name,
                    f"{found['p50_ms']:.3f}",
                    f"{found['p99_ms']:.3f}",
                    f"{found['columns_per_second']:,.0f}",
                    f"{found['p50_ms'] / own:.2f}",
                ]
            )
    failed = [f"Not measured: {name}: {reason}." for name, reason in facts["failed"].items()]
    before = [f"`before` is commit {facts['before']}."] * ("before" in facts)
    return [*before, *failed, "", *report.table(header, rows, num_words=3)]


if __name__ == "__main__":
    sys.exit(options.run(main))
