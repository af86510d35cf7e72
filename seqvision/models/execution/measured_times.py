"""Measured times of a training step by `scan`, `fused` and `native`: the table behind `auto`.

Measured by `python -m benchmarks.lstm --cases=executions` in float32 and bfloat16 (B = 128, T = 28,
D = 28; medians of 6 rounds) on 2 cores of an AMD EPYC with AVX-512; raw numbers, versions and
spread are in benchmarks/results/executions-*.
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
    StepTimes((0, 9), "gru", "bfloat16", 32, 3.69, 2.16),
    StepTimes((0, 9), "gru", "bfloat16", 64, 6.6, 5.0),
    StepTimes((0, 9), "gru", "bfloat16", 128, 12.8, 9.65),
    StepTimes((0, 9), "gru", "bfloat16", 256, 39.1, 24.8),
    StepTimes((0, 9), "gru", "bfloat16", 512, 159.0, 72.7),
    StepTimes((0, 9), "gru", "float32", 32, 2.23, 2.47),
    StepTimes((0, 9), "gru", "float32", 64, 4.03, 4.14),
    StepTimes((0, 9), "gru", "float32", 128, 10.7, 11.4),
    StepTimes((0, 9), "gru", "float32", 256, 31.6, 31.7),
    StepTimes((0, 9), "gru", "float32", 512, 135.0, 114.0),
    StepTimes((0, 9), "lstm", "bfloat16", 32, 4.23, 2.4),
    StepTimes((0, 9), "lstm", "bfloat16", 64, 6.55, 5.42),
    StepTimes((0, 9), "lstm", "bfloat16", 128, 19.5, 11.9),
    StepTimes((0, 9), "lstm", "bfloat16", 256, 59.6, 31.5),
    StepTimes((0, 9), "lstm", "bfloat16", 512, 221.0, 116.0),
    StepTimes((0, 9), "lstm", "float32", 32, 2.16, 2.52, 1.72),
    StepTimes((0, 9), "lstm", "float32", 64, 5.35, 5.86, 3.26),
    StepTimes((0, 9), "lstm", "float32", 128, 14.1, 13.8, 10.6),
    StepTimes((0, 9), "lstm", "float32", 256, 46.1, 42.1, 36.2),
    StepTimes((0, 9), "lstm", "float32", 512, 189.0, 158.0, 141.0),
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
