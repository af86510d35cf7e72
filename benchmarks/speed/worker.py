"""The process of one contender: `python -m benchmarks.speed.worker CONTENDER`.

It reads one JSON object a line from stdin and answers each with one on stdout:

    {"do": "prepare", "case": {...}}   compiles, warms up, tries each setting, keeps the fastest
    {"do": "measure", "seconds": 1.0}  ms per step with that setting

An answer with `error` is the reason of a failure; the process lives on. The first line, unasked,
has the `versions`, or as `error` the library that is not installed.
"""

import gc
import json
import os
import statistics
import sys
import time
from typing import IO, Any

from benchmarks.speed.cases import Case
from benchmarks.speed.contender import Contender, Run, timed

# Every setting is tried this often, in turn, for this long; the median counts.
TRIAL_ROUNDS = 3
TRIAL_SECONDS = 0.3
MIN_STEPS = 3


class Session:
    """Answers requests about one case at a time."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._run: Run | None = None
        self._guess = 0.0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "prepare":
                return self.prepare(Case(**request["case"]))
            case "measure":
                return self.measure(request["seconds"])
        raise ValueError(f"request '{request['do']}' is not known")

    def prepare(self, case: Case) -> dict[str, Any]:
        self._run = None
        gc.collect()  # The case before.
        start = time.perf_counter()
        runs: dict[str, Run] = {}
        trials: dict[str, list[float]] = {}
        guesses: dict[str, float] = {}
        failed: dict[str, str] = {}
        for name, build in self._contender.settings(case).items():
            try:
                runs[name] = build()
                runs[name](1)  # Compiles.
                guesses[name] = timed(runs[name], 0, 1, guess=1)[0]
            except Exception as error:  # A setting that does not work is a finding, not the end.
                runs.pop(name, None)
                failed[name] = _first_line(error)
        if not runs:
            raise RuntimeError("; ".join(f"{name}: {why}" for name, why in failed.items()))
        for _ in range(TRIAL_ROUNDS):
            for name, run in runs.items():
                ms, _ = timed(run, TRIAL_SECONDS, 1, guesses[name])
                guesses[name] = min(guesses[name], ms)
                trials.setdefault(name, []).append(ms)
        best = min(trials, key=lambda name: statistics.median(trials[name]))
        self._run, self._guess = runs[best], guesses[best]
        return {
            "setting": best,
            "trials_ms": trials,
            "failed": failed,
            "prepare_seconds": time.perf_counter() - start,
        }

    def measure(self, seconds: float) -> dict[str, Any]:
        if self._run is None:
            raise ValueError("nothing is prepared")
        self._run(1)  # The process was stopped meanwhile: caches and threads are cold.
        ms, num_steps = timed(self._run, seconds, MIN_STEPS, self._guess)
        return {"ms": ms, "steps": num_steps}


def serve(contender: Contender, requests: IO[str], answers: IO[str]) -> None:
    """Answers until there are no more requests."""
    session = Session(contender)
    _say(answers, {"versions": {"python": sys.version.split()[0], **contender.versions()}})
    for line in requests:
        try:
            _say(answers, session.answer(json.loads(line)))
        except Exception as error:  # The main process reports it and goes on.
            _say(answers, {"error": _first_line(error)})


def create_contender(name: str) -> Contender:
    """Imports that library and no other.

    Raises:
      ImportError: it is not installed.
    """
    match name:
        case "seqvision" | "seqvision_scan" | "seqvision_fused" | "seqvision_native":
            from seqvision import prepare_host

            prepare_host()  # As seqvision's own commands do, before jax is imported.
            from benchmarks.speed.contenders.seqvision_steps import SeqvisionContender

            return SeqvisionContender(name.removeprefix("seqvision").lstrip("_") or "auto")
        case "flax":
            from benchmarks.speed.contenders.flax_lstm import FlaxContender

            return FlaxContender()
        case "torch":
            from benchmarks.speed.contenders.torch_steps import TorchContender

            return TorchContender()
        case "keras":
            from benchmarks.speed.contenders.keras_lstm import KerasContender

            return KerasContender()
    raise ValueError(f"contender '{name}' is not known")


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def main() -> None:
    # Whatever a library prints goes to stderr: stdout carries answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        contender = create_contender(sys.argv[1])
    except ImportError as error:
        _say(answers, {"error": _first_line(error)})
        return
    serve(contender, sys.stdin, answers)


if __name__ == "__main__":
    main()
