"""The processes that compute, by name; one that crashed is started again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accelerator import worker
from benchmarks.accelerator.record import Record
from benchmarks.speed.process import WorkerError, WorkerProcess


class Workers:
    """Starts all of them at once.

    Args:
      record: what fails is noted there.
      libraries: `jax` or `torch` of each, by name.
      environments: variables of each, by name.
      must_start: whether it is a failure where one does not start.
    """

    def __init__(
        self,
        record: Record,
        libraries: dict[str, str],
        environments: dict[str, dict[str, str]] | None = None,
        must_start: bool = True,
    ) -> None:
        self._record, self._libraries = record, libraries
        self._environments, self._must_start = environments or {}, must_start
        self._processes: dict[str, WorkerProcess] = {}
        self._prepared: dict[str, set[str]] = {}
        with ThreadPoolExecutor(len(libraries)) as threads:
            list(threads.map(self._start, libraries))

    @property
    def names(self) -> list[str]:
        """Those that run."""
        return [name for name in self._libraries if name in self._processes]

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """An answer; None where it failed, which is recorded."""
        if name not in self._processes and not self._start(name):
            return None
        process = self._processes[name]
        try:
            return worker.ask(process, request, self._limit())
        except WorkerError as error:
            self._record.fail(f"{name}: {request['do']} {request.get('id', '')}", str(error))
            # One that answered lives on. One that ended is started again.
            if "it ended" in str(error) or "does not run" in str(error):
                del self._processes[name]
            return None

    def prepare(
        self, name: str, items: list[dict[str, Any]], keep: list[str] | None = None
    ) -> list[str]:
        """Compiles; the ids of what can be measured."""
        answer = self.ask(name, {"do": "prepare", "items": items, "keep": keep or []})
        if answer is None:
            return []
        for item, failure in answer["failed"].items():
            note = self._record.leave_out if failure["refused"] else self._record.fail
            note(item, f"{'refused: ' * failure['refused']}{failure['reason']}")
        for item, seconds in answer["prepared"].items():
            self._record.add("Seconds to prepare, beside others", case=item, seconds=seconds)
        kept = self._prepared[name].intersection(keep or [])
        self._prepared[name] = kept.union(answer["prepared"])
        return list(answer["prepared"])

    def measure(self, name: str, item: str, rounds: int, seconds: float) -> dict[str, Any] | None:
        """`ms`, the median, and `all`."""
        # Where it crashed, what was prepared is gone, also when it was started again.
        if name not in self._processes or item not in self._prepared[name]:
            return None
        return self.ask(name, {"do": "measure", "id": item, "rounds": rounds, "seconds": seconds})

    def close(self) -> None:
        """Ends them."""
        for process in self._processes.values():
            process.close()

    def _limit(self) -> float:
        """Seconds for an answer: what hangs leaves time for the others."""
        return max(self._record.left / 2, 5)

    def _start(self, name: str) -> bool:
        self._prepared[name] = set()
        try:
            environment = self._environments.get(name)
            self._processes[name] = worker.start(self._libraries[name], environment)
        except WorkerError as error:
            note = self._record.fail if self._must_start else self._record.leave_out
            note(name, f"it does not start: {error}")
            return False
        return True
