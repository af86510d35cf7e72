"""Reports of a training: lines, the progress bar, the recorded metrics."""

import dataclasses
import time
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from seqvision.runs.metrics_log import MetricsLog
from seqvision.runtime.console import duration_text, on_terminal, say
from seqvision.runtime.mesh import state_sharding
from seqvision.runtime.transfer import to_devices
from seqvision.tasks.base import Metrics
from seqvision.tasks.metric_text import final_line, format_row
from seqvision.training.from_config import TrainingSetup
from seqvision.training.state import TrainState


class TrainingReporter:
    """Prints and records how a training goes.

    Args:
      setup: the training.
      workdir: the run's folder.
      start: its first step, this time.
      batch_size: examples of a step, over all devices and seeds.

    Attributes:
      log: the metrics that are recorded.
    """

    def __init__(self, setup: TrainingSetup, workdir: Path, start: int, batch_size: int) -> None:
        self.log = MetricsLog(workdir, start)
        self._setup, self._batch_size = setup, batch_size
        self._total_steps = setup.steps.total
        self._learning_rate = jax.jit(setup.schedule)
        self._bar = tqdm(
            total=self._total_steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not on_terminal(),
            leave=False,
        )
        self._time, self._step = time.perf_counter(), start

    def advance(self, num_steps: int) -> None:
        """Moves the progress bar."""
        self._bar.update(num_steps)

    def training(self, state: TrainState, step: int, seconds: float) -> TrainState:
        """Reports the training metrics since the last report; the state begins new sums.

        Args:
          state: after the step.
          step: completed updates.
          seconds: that the run has taken so far.
        """
        now = time.perf_counter()
        speed = (step - self._step) * self._batch_size / (now - self._time)
        self._time, self._step = now, step
        sums = jax.device_get(state.sums)
        replicas, task = self._setup.replicas, self._setup.task
        means = replicas.row([task.row(one) for one in replicas.each(sums)])
        values = means | {"learning_rate": float(self._learning_rate(step - 1))}
        self.log.metrics(step, "train", values, seconds)
        self.log.scalars(step, "train", {"examples_per_second": speed})
        words = {name: text for name, text in format_row(means).items() if name != "count"}
        left = (self._total_steps - step) * self._batch_size / speed
        say(
            f"step {step}/{self._total_steps}  "
            + "".join(f"{name} {text}  " for name, text in words.items())
            + f"{speed:,.0f} examples/s  ETA {duration_text(left)}"
        )
        self._bar.set_postfix(words | {"examples_per_s": f"{speed:,.0f}"})
        zeros = to_devices(jax.tree.map(np.zeros_like, sums), state_sharding(self._setup.mesh))
        return dataclasses.replace(state, sums=zeros)

    def validation(self, metrics: Metrics, step: int, seconds: float, is_best: bool) -> None:
        """Reports the metrics of the validation split."""
        row = metrics.row()
        self.log.metrics(step, "validation", row, seconds)
        say(f"step {step}  {final_line('validation', row)}{'  best' * is_best}")

    def close(self) -> None:
        self._bar.close()
        self.log.close()
