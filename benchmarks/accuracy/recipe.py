"""The recipe of a peer, from its command line, and the accuracy that it prints."""

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence

from benchmarks.accuracy.start import GATE_INITS


@dataclasses.dataclass(frozen=True)
class Recipe:
    """`usual` is Adam at 1e-3 until the target is reached; `ours` is that of a seqvision config.

    Attributes:
      recipe: `usual` or `ours`.
      seed: of weights and order.
      target: accuracy in % at which `usual` stops.
      max_epochs: where `usual` gives up.
      hidden_size, batch_size: of both recipes. The rest is of `ours`:
      train_examples: the first of the training images.
      total_steps, warmup_steps: lengths of training and of the rise of the learning rate.
      peak: the highest learning rate.
      start_fraction, final_fraction: the first and last as fractions of it.
      clip_norm: largest global norm of the gradient; 0 is no limit.
      gate_init, forget_bias: where the gates' biases start; see `start.gate_biases`.
    """

    recipe: str = "usual"
    seed: int = 0
    target: float = 98.5
    max_epochs: int = 20
    hidden_size: int = 128
    batch_size: int = 128
    train_examples: int = 60000
    total_steps: int = 1000
    warmup_steps: int = 300
    peak: float = 1e-3
    start_fraction: float = 0.1
    final_fraction: float = 0.001
    clip_norm: float = 0.0
    gate_init: str = "constant"
    forget_bias: float = 1.0

    def arguments(self) -> list[str]:
        """The command line that `parse_recipe` reads back."""
        return [f"--{name}={value}" for name, value in dataclasses.asdict(self).items()]

    def learning_rates(self) -> list[float]:
        """Of each step of `ours`: one cycle, as in seqvision.training.optimizer."""
        fall = self.total_steps - self.warmup_steps
        return [
            self.peak * _between(self.start_fraction, 1.0, step / self.warmup_steps)
            if step < self.warmup_steps
            else self.peak * _between(1.0, self.final_fraction, (step - self.warmup_steps) / fall)
            for step in range(self.total_steps)
        ]


def parse_recipe(description: str | None, arguments: Sequence[str]) -> Recipe:
    """Reads a command line."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    choices = {"recipe": ("usual", "ours"), "gate_init": GATE_INITS}
    for field in dataclasses.fields(Recipe):
        parser.add_argument(
            f"--{field.name}",
            type=type(field.default),
            default=field.default,
            choices=choices.get(field.name),
        )
    return Recipe(**vars(parser.parse_args(arguments)))


def report(epoch: float, accuracy: float) -> None:
    """Prints the test accuracy in %, at once: whoever reads it looks at the clock."""
    print(json.dumps({"epoch": epoch, "accuracy": round(accuracy, 4)}), flush=True)


def _between(start: float, end: float, part: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
