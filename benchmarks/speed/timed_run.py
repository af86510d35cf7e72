"""A training command, with the time at which it prints each accuracy."""

import dataclasses
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

# What main.py prints at its end.
_OWN_LINE = re.compile(r"test accuracy (\d+\.\d+)%")


@dataclasses.dataclass
class TimedRun:
    """One training of one contender.

    Attributes:
      contender, seed: who, and its seed.
      cache: of compiled programs: `cold` (empty), `warm` (of the run before), or `none`.
      evaluations: seconds since just before the process was started, and test accuracy in %.
      seconds: until it ended.
      error: why it failed; None where it did not.
    """

    contender: str
    seed: int
    cache: str
    evaluations: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None

    def reached(self, target: float) -> float | None:
        """Seconds to the first accuracy of at least `target`; None where there is none."""
        return next((at for at, accuracy in self.evaluations if accuracy >= target), None)

    @property
    def best(self) -> float | None:
        """The highest accuracy, in %."""
        return max((accuracy for _, accuracy in self.evaluations), default=None)


def accuracy_in(line: str) -> float | None:
    """The test accuracy in % in a line of output: a peer's JSON, or main.py's last line."""
    own = _OWN_LINE.match(line)
    if own:
        return float(own[1])
    return json.loads(line)["accuracy"] if line.startswith("{") else None


def follow(run: TimedRun, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Runs the command to its end and fills in `run`."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                accuracy = accuracy_in(line)
                if accuracy is not None:
                    run.evaluations.append((time.monotonic() - start, accuracy))
            code = process.wait()
        finally:
            process.kill()
            process.communicate()
        run.seconds = time.monotonic() - start
        if code != 0:
            errors.seek(0)
            lines = [text.strip() for text in errors if text.strip()]
            run.error = f"exit code {code}{f': {lines[-1][:300]}' if lines else ''}"
        elif not run.evaluations:
            run.error = "it printed no test accuracy"
