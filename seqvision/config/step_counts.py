"""Durations of a config as optimizer steps."""

import dataclasses

from seqvision.config.durations import LARGEST, Duration
from seqvision.config.schema import Settings
from seqvision.errors import UserError


@dataclasses.dataclass(frozen=True)
class Steps:
    """The durations of `Settings` in optimizer steps, for one training set."""

    total: int
    warmup: int
    log_every: int
    evaluate_every: int
    checkpoint_every: int

    @classmethod
    def of(cls, settings: Settings, num_examples: int) -> "Steps":
        batch_size = settings.data.batch_size
        total = settings.duration.steps(batch_size, num_examples)
        if total > LARGEST:
            raise UserError(
                f"config.duration: {total} steps are too many; allowed are at most {LARGEST}"
            )

        def steps(duration: Duration) -> int:
            return duration.steps(batch_size, num_examples, total)

        warmup = steps(settings.schedule.warmup)
        if warmup >= total and batch_size > num_examples:
            raise UserError(
                f"config.data.batch_size: {batch_size} is more than the {num_examples} examples of"
                f" the train split, so config.duration is {total} steps and {warmup} of them are"
                " config.schedule.warmup; choose a smaller batch"
            )
        if warmup >= total:
            raise UserError(
                f"config.schedule.warmup: {warmup} steps of warm-up do not fit the {total} steps"
                " of config.duration; shorten the warm-up or train longer"
            )
        return cls(
            total=total,
            warmup=warmup,
            log_every=steps(settings.log_every),
            evaluate_every=steps(settings.evaluate_every),
            checkpoint_every=steps(settings.checkpoint.every),
        )


def is_due(step: int, every: int) -> bool:
    """Whether `step` is a multiple of `every`; never at step 0, nor with `every` 0."""
    return every > 0 and step > 0 and step % every == 0
