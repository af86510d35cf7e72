"""Speed of training, in examples and FLOP per second and as a fraction of the peak."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Speed of training over all devices.

    Attributes:
      examples_per_second: examples trained on per second.
      flops_per_example: floating-point operations to train on one example, see `flops`.
      peak_flops: peak FLOP/s of all devices together; None where it was not measured.
      input_wait: fraction of the time in which the first process waited for its next batch; None
        where all examples are in device memory.
    """

    examples_per_second: float
    flops_per_example: float
    peak_flops: float | None = None
    input_wait: float | None = None

    @property
    def flops_per_second(self) -> float:
        return self.examples_per_second * self.flops_per_example

    @property
    def share_of_peak(self) -> float | None:
        return self.flops_per_second / self.peak_flops if self.peak_flops else None

    def as_json(self) -> dict[str, float | None]:
        return {
            "examples_per_second": round(self.examples_per_second, 1),
            "flops_per_example": self.flops_per_example,
            "flops_per_second": round(self.flops_per_second),
            "peak_flops": None if self.peak_flops is None else round(self.peak_flops),
            "share_of_peak": None if self.share_of_peak is None else round(self.share_of_peak, 4),
            "input_wait": None if self.input_wait is None else round(self.input_wait, 4),
        }

    def __str__(self) -> str:
        text = f"{self.examples_per_second:,.0f} examples/s, {flops_text(self.flops_per_second)}/s"
        if self.peak_flops is not None:
            text += f" = {self.share_of_peak:.1%} of the peak of {flops_text(self.peak_flops)}/s"
        if self.input_wait is not None:
            text += f", {self.input_wait:.1%} of the time waiting for input"
        return text


def flops_text(flops: float) -> str:
    """`12.6 MFLOP` for 12,600,000."""
    for unit, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if flops >= unit:
            return f"{flops / unit:.1f} {letter}FLOP"
    return f"{flops:,.0f} FLOP"
