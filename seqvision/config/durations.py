"""Durations: text such as `12 epochs`, in optimizer steps."""

import dataclasses
import math
import re

# Steps and examples are counted in 32-bit integers.
LARGEST = 2**31 - 1

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(steps?|epochs?|examples?|%)\s*")


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of training, such as `12 epochs`; `%` is a fraction of the whole training."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Reads `500 steps`, `1.5 epochs`, `60000 examples`, `30 %` or `never` (0 steps).

        Raises:
          ValueError: `text` is none of these.
        """
        if text.strip() == "never":
            return cls(0.0, "steps")
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(
                f"'{text}' is not a duration; write a number and a unit (steps, epochs, examples"
                " or, of the whole training, %), such as '500 steps'"
            )
        amount, unit = float(match[1]), match[2]
        if amount > LARGEST:
            raise ValueError(f"'{text}' is too long; allowed is at most {LARGEST}")
        return cls(amount, unit if unit == "%" else unit.rstrip("s") + "s")

    def steps(self, batch_size: int, num_examples: int, total_steps: int | None = None) -> int:
        """Optimizer steps in this duration, rounded to the nearest; at least 1 unless it is 0.

        Args:
          batch_size: examples in one step.
          num_examples: examples in one epoch.
          total_steps: steps of the whole training; needed for `%` only.
        """
        if self.unit == "steps":
            exact = self.amount
        elif self.unit == "epochs":
            exact = self.amount * num_examples / batch_size
        elif self.unit == "examples":
            exact = self.amount / batch_size
        else:
            assert total_steps is not None
            exact = self.amount / 100 * total_steps
        return max(1, math.floor(exact + 0.5)) if self.amount > 0 else 0


def describe(duration: Duration) -> str:
    amount = int(duration.amount) if duration.amount.is_integer() else duration.amount
    return f"{amount} {duration.unit}"
