"""What a training step costs by either way of running the steps: the table behind `auto`.

Measured by `python -m benchmarks.lstm --cases=executions` (B = 128, T = 28, D = 28,
medians of 6 rounds) on 2 cores of an AMD EPYC with AVX-512. Raw numbers:
benchmarks/results/executions-*.
"""

import math
from typing import NamedTuple

import jax


class StepTimes(NamedTuple):
    """ms per training step.

    Attributes:
      jax: release series that ran.
      cell: `lstm` or `gru`.
      dtype: of the products.
      hidden_size: H.
      scan, fused: the time of each way.
    """

    jax: tuple[int, int]
    cell: str
    dtype: str
    hidden_size: int
    scan: float
    fused: float


ON_CPU = (
    StepTimes((0, 9), "lstm", "float32", 32, 3.26, 3.60),
    StepTimes((0, 9), "lstm", "float32", 64, 6.71, 7.00),
    StepTimes((0, 9), "lstm", "float32", 128, 17.1, 16.7),
    StepTimes((0, 9), "lstm", "float32", 256, 53.0, 50.5),
    StepTimes((0, 9), "lstm", "float32", 512, 225.0, 185.0),
    StepTimes((0, 9), "gru", "float32", 32, 2.49, 2.63),
    StepTimes((0, 9), "gru", "float32", 64, 4.83, 5.12),
    StepTimes((0, 9), "gru", "float32", 128, 12.2, 12.4),
    StepTimes((0, 9), "gru", "float32", 256, 35.9, 35.9),
    StepTimes((0, 9), "gru", "float32", 512, 155.0, 124.0),
    StepTimes((0, 12), "lstm", "float32", 32, 2.67, 2.17),
    StepTimes((0, 12), "lstm", "float32", 64, 6.60, 5.30),
    StepTimes((0, 12), "lstm", "float32", 128, 16.6, 15.7),
    StepTimes((0, 12), "lstm", "float32", 256, 53.9, 54.9),
    StepTimes((0, 12), "lstm", "float32", 512, 233.0, 185.0),
    StepTimes((0, 12), "gru", "float32", 32, 2.56, 2.32),
    StepTimes((0, 12), "gru", "float32", 64, 4.94, 4.90),
    StepTimes((0, 12), "gru", "float32", 128, 12.5, 14.8),
    StepTimes((0, 12), "gru", "float32", 256, 39.5, 40.4),
    StepTimes((0, 12), "gru", "float32", 512, 154.0, 132.0),
)


def faster_on_cpu(
    cell: str, hidden_size: int, dtype: str, version: tuple[int, ...] = jax.__version_info__
) -> str:
    """`scan` or `fused`, whichever was faster at the nearest size that was measured.

    Args:
      cell: `lstm` or `gru`.
      hidden_size: H.
      dtype: of the products, `float32` or `bfloat16`.
      version: of jax; the newest series counts that is not newer than it, else the oldest.
    """
    measured = {times.jax for times in ON_CPU}
    series = max((one for one in measured if one <= version[:2]), default=min(measured))
    nearest = min(
        (times for times in ON_CPU if times[:3] == (series, cell, dtype)),
        key=lambda times: abs(math.log(times.hidden_size / hidden_size)),
    )
    return "fused" if nearest.fused <= nearest.scan else "scan"
