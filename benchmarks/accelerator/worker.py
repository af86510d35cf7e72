"""The process of some ways to compute: `python -m benchmarks.accelerator.worker jax|torch`.

Requests and answers are those of `benchmarks.speed.process`:

    {"do": "prepare", "items": [{"id": "a", "path": "fused", "precision": "tf32", "case": {...}}]}
    {"do": "measure", "id": "a", "rounds": 5, "seconds": 0.15}
    {"do": "peak", "precision": "tf32", "size": 8192}
    {"do": "parity", "items": [{...}]}

The first compiles all of them in threads, since compiling takes longer than measuring; nothing is
measured meanwhile.
"""

import importlib
import json
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accelerator.record import first_line
from benchmarks.speed.contender import Run
from benchmarks.speed.process import WorkerProcess
from seqvision.errors import UserError

THREADS = 12
PRECISIONS = ("float32", "tf32", "bfloat16")


class Session:
    """Answers requests; what was prepared stays until it is dropped by another preparation.

    Args:
      ways: the module `jax_ways` or `torch_ways`, with `build(item)` and more.
    """

    def __init__(self, ways: Any) -> None:
        self._ways = ways
        self._runs: dict[str, Run] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "prepare":
                return self.prepare(request["items"], request.get("keep", []))
            case "measure":
                return measure(self._runs[request["id"]], request["rounds"], request["seconds"])
            case "peak":
                return self._ways.peak(request["precision"], request["size"])
            case "parity":
                with ThreadPoolExecutor(THREADS) as threads:
                    return {"results": list(threads.map(self._ways.parity, request["items"]))}
        raise ValueError(f"request '{request['do']}' is not known")

    def prepare(self, items: list[dict[str, Any]], keep: list[str]) -> dict[str, Any]:
        """Seconds by id, and why others could not be prepared."""
        self._runs = {name: run for name, run in self._runs.items() if name in keep}
        prepared, failed = {}, {}

        def one(item: dict[str, Any]) -> float:
            start = time.perf_counter()
            run = self._ways.build(item)
            run(1)  # Compiles.
            self._runs[item["id"]] = run
            return time.perf_counter() - start

        with ThreadPoolExecutor(THREADS if self._ways.THREADS else 1) as threads:
            futures = {item["id"]: threads.submit(one, item) for item in items}
        for name, future in futures.items():
            error = future.exception()
            if error is None:
                prepared[name] = future.result()
            else:
                failed[name] = {"refused": is_refusal(error), "reason": first_line(error)}
        return {"prepared": prepared, "failed": failed}


def measure(run: Run, rounds: int, seconds: float) -> dict[str, Any]:
    """Median ms of a step, and those of each round of about `seconds`; fewer of slow steps."""
    run(2)
    start = time.perf_counter()
    run(2)
    guess = (time.perf_counter() - start) / 2
    num_steps = max(4, min(round(seconds / guess), 20_000))
    if guess * num_steps > 4 * seconds:
        rounds = min(rounds, 2)
    all_ms = []
    for number in range(rounds + 1):
        start = time.perf_counter()
        run(num_steps)
        took = time.perf_counter() - start
        if number:
            all_ms.append(1000 * took / num_steps)
        else:  # The guess had the overhead of a short call.
            num_steps = max(4, min(round(num_steps * seconds / took), 50_000))
    return {"ms": statistics.median(all_ms), "all": all_ms, "steps": num_steps}


def is_refusal(error: BaseException) -> bool:
    """Whether seqvision itself says that a path is not for this size, type or machine."""
    kinds = (ValueError, NotImplementedError, RuntimeError, UserError)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else trace.tb_frame.f_code.co_filename
    return type(error) in kinds and f"{os.sep}seqvision{os.sep}models{os.sep}" in raised_in


def start(library: str, environment: dict[str, str] | None = None) -> WorkerProcess:
    """Starts a worker of `jax` or `torch`.

    Raises:
      WorkerError: it does not start, or the library is not installed.
    """
    command = [sys.executable, "-m", "benchmarks.accelerator.worker", library]
    # A filtered traceback would hide where an error was raised, see `is_refusal`.
    variables = {"JAX_TRACEBACK_FILTERING": "off", **(environment or {})}
    worker = WorkerProcess(library, command, variables)
    worker.start()
    return worker


def ask(worker: WorkerProcess, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """An answer within so many seconds; a process that hangs is killed.

    Raises:
      WorkerError: it could not do it, or it ended.
    """
    timer = threading.Timer(seconds, worker.kill)
    timer.start()
    try:
        return worker.ask(request)
    finally:
        timer.cancel()


def main() -> None:
    # Whatever a library prints goes to stderr: stdout carries answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        ways = importlib.import_module(f"benchmarks.accelerator.{sys.argv[1]}_ways")
        session = Session(ways)
        say({"versions": ways.versions()})
    except Exception as error:  # The parent says it.
        say({"error": first_line(error)})
        return
    for line in sys.stdin:
        try:
            say(session.answer(json.loads(line)))
        except Exception as error:  # The parent records it and goes on.
            say({"error": first_line(error)})


if __name__ == "__main__":
    main()
