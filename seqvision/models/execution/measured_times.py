"""Measured times of a training step by `scan`, `fused` and `native`: the table behind `auto`.

Measured by `python -m benchmarks.speed.lstm --cases=executions` in float32 and bfloat16 (B = 128,
T = 28, D = 28; medians of 6 rounds) on 2 cores of an AMD EPYC with AVX-512; raw numbers, versions
and spread are in benchmarks/results/executions-*.
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
      native: the time of compiled C++, where it was measured; it does not depend on jax.
    """

    jax: tuple[int, int]
    cell: str
    dtype: str
    hidden_size: int
    scan: float
    fused: float
    native: float = math.inf


ON_CPU = (
    StepTimes((0, 9), "gru", "bfloat16", 32, 3.32, 2.0),
    StepTimes((0, 9), "gru", "bfloat16", 64, 4.98, 3.86),
    StepTimes((0, 9), "gru", "bfloat16", 128, 12.3, 8.92),
    StepTimes((0, 9), "gru", "bfloat16", 256, 38.3, 23.8),
    StepTimes((0, 9), "gru", "bfloat16", 512, 161.0, 71.0),
    StepTimes((0, 9), "gru", "float32", 32, 2.04, 2.25),
    StepTimes((0, 9), "gru", "float32", 64, 3.81, 4.18),
    StepTimes((0, 9), "gru", "float32", 128, 10.0, 10.3),
    StepTimes((0, 9), "gru", "float32", 256, 30.5, 30.7),
    StepTimes((0, 9), "gru", "float32", 512, 137.0, 119.0),
    StepTimes((0, 9), "lstm", "bfloat16", 32, 3.74, 2.37, 1.37),
    StepTimes((0, 9), "lstm", "bfloat16", 64, 6.19, 4.87, 2.22),
    StepTimes((0, 9), "lstm", "bfloat16", 128, 18.6, 12.2, 6.3),
    StepTimes((0, 9), "lstm", "bfloat16", 256, 55.6, 29.8, 19.8),
    StepTimes((0, 9), "lstm", "bfloat16", 512, 216.0, 105.0, 74.9),
    StepTimes((0, 9), "lstm", "float32", 32, 2.09, 2.36, 1.68),
    StepTimes((0, 9), "lstm", "float32", 64, 5.19, 5.87, 3.8),
    StepTimes((0, 9), "lstm", "float32", 128, 13.9, 13.3, 10.5),
    StepTimes((0, 9), "lstm", "float32", 256, 43.0, 41.4, 34.6),
    StepTimes((0, 9), "lstm", "float32", 512, 206.0, 167.0, 140.0),
    StepTimes((0, 12), "gru", "bfloat16", 32, 2.44, 2.1),
    StepTimes((0, 12), "gru", "bfloat16", 64, 5.21, 3.42),
    StepTimes((0, 12), "gru", "bfloat16", 128, 10.3, 8.22),
    StepTimes((0, 12), "gru", "bfloat16", 256, 31.1, 22.9),
    StepTimes((0, 12), "gru", "bfloat16", 512, 114.0, 69.9),
    StepTimes((0, 12), "gru", "float32", 32, 2.08, 1.83),
    StepTimes((0, 12), "gru", "float32", 64, 4.18, 3.75),
    StepTimes((0, 12), "gru", "float32", 128, 10.0, 9.55),
    StepTimes((0, 12), "gru", "float32", 256, 35.3, 32.4),
    StepTimes((0, 12), "gru", "float32", 512, 142.0, 119.0),
    StepTimes((0, 12), "lstm", "bfloat16", 32, 2.32, 1.64),
    StepTimes((0, 12), "lstm", "bfloat16", 64, 5.59, 3.45),
    StepTimes((0, 12), "lstm", "bfloat16", 128, 15.1, 8.09),
    StepTimes((0, 12), "lstm", "bfloat16", 256, 47.1, 25.2),
    StepTimes((0, 12), "lstm", "bfloat16", 512, 181.0, 101.0),
    StepTimes((0, 12), "lstm", "float32", 32, 2.49, 2.42),
    StepTimes((0, 12), "lstm", "float32", 64, 5.95, 5.34),
    StepTimes((0, 12), "lstm", "float32", 128, 13.3, 12.3),
    StepTimes((0, 12), "lstm", "float32", 256, 45.5, 39.4),
    StepTimes((0, 12), "lstm", "float32", 512, 211.0, 163.0),
)


def faster_on_cpu(
    cell: str,
    hidden_size: int,
    dtype: str,
    version: tuple[int, ...] = jax.__version_info__,
    *,
    has_native: bool = False,
) -> str:
    """`scan`, `fused` or `native`: whichever was fastest at the nearest size that was measured.

    Args:
      cell: `lstm` or `gru`.
      hidden_size: H.
      dtype: of the products.
      version: of jax; the newest series counts that is not newer than it, else the oldest.
      has_native: whether `native` can be chosen.

    Returns:
      `scan` where the cell was never measured with this type.
    """
    of_kind = [times for times in ON_CPU if (times.cell, times.dtype) == (cell, dtype)]
    if not of_kind:
        return "scan"
    measured = {times.jax for times in of_kind}
    series = max((one for one in measured if one <= version[:2]), default=min(measured))
    nearest = min(
        (times for times in of_kind if times.jax == series),
        key=lambda times: abs(math.log(times.hidden_size / hidden_size)),
    )
    times = {"fused": nearest.fused, "scan": nearest.scan}
    if has_native:
        same_size = [row.native for row in of_kind if row.hidden_size == nearest.hidden_size]
        times["native"] = min(same_size)
    return min(times, key=lambda name: times[name])
