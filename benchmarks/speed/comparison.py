"""Contenders measured in turn, round by round, on one case."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.speed.cases import Case
from benchmarks.speed.process import WorkerError, WorkerProcess

Tell = Callable[[str], None]


@dataclasses.dataclass
class Measurement:
    """What one contender did on one case.

    Attributes:
      setting: the fastest of its settings in the trial.
      trials_ms: ms per step of every setting, trial by trial.
      failed: settings that do not work, and why.
      prepare_seconds: compiling and trying all settings.
      ms: ms per step, round by round.
      steps: how many steps each of these is the mean of.
      error: why there is no result; None where there is one.
    """

    setting: str = ""
    trials_ms: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    prepare_seconds: float = 0.0
    ms: list[float] = dataclasses.field(default_factory=list)
    steps: list[int] = dataclasses.field(default_factory=list)
    error: str | None = None

    @property
    def median(self) -> float | None:
        """ms per step; None where there is no whole result."""
        return statistics.median(self.ms) if self.ms and self.error is None else None


def ratio(peer: Measurement | None, own: Measurement | None) -> float | None:
    """How many times as long the peer takes, by medians; None where one has no result."""
    if peer is None or own is None or peer.median is None or own.median is None:
        return None
    return peer.median / own.median


def compare(
    workers: Sequence[WorkerProcess], case: Case, rounds: int, seconds: float, tell: Tell
) -> dict[str, Measurement]:
    """Prepares all, then measures A B C, A B C, ...: what drifts, drifts for all of them.

    Args:
      workers: their processes; one that ended is started anew.
      case: what they run.
      rounds: how often each is measured.
      seconds: how long, about, and at least `worker.MIN_STEPS` steps.
      tell: hears, before each part, whose turn it is and for what.

    Returns:
      One measurement for each worker, by name, with an error for those that fail; the others go on.
    """
    results = {worker.name: Measurement() for worker in workers}

    def ask(worker: WorkerProcess, request: dict[str, Any]) -> dict[str, Any]:
        """Its answer; empty where it failed, now or before."""
        result = results[worker.name]
        if result.error is not None:
            return {}
        try:
            worker.start()
            return worker.ask(request)
        except WorkerError as error:
            result.error = str(error)
            return {}

    for worker in workers:
        tell(f"{worker.name}: prepare")
        answer = ask(worker, {"do": "prepare", "case": dataclasses.asdict(case)})
        results[worker.name] = dataclasses.replace(results[worker.name], **answer)
    for number in range(rounds):
        for worker in workers:
            tell(f"{worker.name}: round {number + 1}/{rounds}")
            answer = ask(worker, {"do": "measure", "seconds": seconds})
            if answer:
                results[worker.name].ms.append(answer["ms"])
                results[worker.name].steps.append(answer["steps"])
    return results
