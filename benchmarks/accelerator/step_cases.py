"""Which sizes are measured, in order, and by which ways."""

import dataclasses
from typing import Any

from benchmarks.speed.cases import Case

FLAX = ("flax",)
TORCH = ("torch eager", "torch graph")
TORCH_BF16 = ("torch eager, bf16 module", "torch graph, bf16 module")
MODES = ("training", "forward")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """One size in one precision.

    Attributes:
      hidden, batch, steps, width: H, B, T, D.
      precision: `float32`, `tf32` or `bfloat16`.
      in_full: every way, training and forward; else the fastest ways, training only.
    """

    hidden: int
    batch: int
    precision: str
    steps: int = 28
    width: int = 28
    in_full: bool = False

    @property
    def name(self) -> str:
        return f"H={self.hidden} B={self.batch} T={self.steps} D={self.width} {self.precision}"

    def case(self, mode: str) -> Case:
        dtype = "bfloat16" if self.precision == "bfloat16" else "float32"
        return Case("lstm", mode, self.batch, self.steps, self.width, self.hidden, dtype)

    def flops(self, mode: str) -> int:
        """Of the products of a step, 8 T H (3H + 2D) per image of training."""
        steps, hidden, width = self.steps, self.hidden, self.width
        per_image = hidden + width if mode == "forward" else 3 * hidden + 2 * width
        return self.batch * 8 * steps * hidden * per_image


def groups(rehearse: bool) -> list[list[Sizes]]:
    """Groups are prepared together; the most important come first, and small."""
    if rehearse:
        return [[Sizes(16, 16, "tf32", 7, 28, True)]]
    first = [[Sizes(128, 128, name, in_full=True)] for name in ("tf32", "bfloat16")]
    usual = [(64, 128), (256, 128), (128, 1024), (512, 128), (1024, 128)]
    main = [
        [Sizes(h, b, "tf32") for h, b in usual[:3]]
        + [Sizes(128, 128, "tf32", 784, 1), Sizes(128, 128, "float32", in_full=True)],
        [Sizes(h, b, "bfloat16") for h, b in usual[:3]] + [Sizes(128, 128, "bfloat16", 784, 1)],
        [Sizes(h, b, name) for name in ("tf32", "bfloat16") for h, b in usual[3:]]
        # cuDNN's published times per recurrent step are of this size, in float16.
        + [Sizes(768, 16, "bfloat16", in_full=True)],
    ]
    done = {(128, 128), *usual}
    every = [(h, b) for b in (1024, 64, 256, 512) for h in (64, 128, 256, 512, 1024)]
    rest = [pair for pair in every if pair not in done]
    others = [Sizes(h, b, name) for name in ("tf32", "bfloat16") for h, b in rest]
    others += [Sizes(h, b, "float32") for h, b in [*usual, *rest]]
    return [*first, *main, *(others[n : n + 6] for n in range(0, len(others), 6))]


def ways(sizes: Sizes, paths: list[str], with_torch: bool, on_gpu: bool) -> list[str]:
    """The ways to measure it, ours first."""
    bf16 = sizes.precision == "bfloat16"
    ours = [path for path in paths if not (path == "cudnn" and bf16)]
    graphs = [TORCH[1], TORCH_BF16[1]] if bf16 else [TORCH[1]]
    if not on_gpu:
        graphs = []
    if not sizes.in_full:
        return [*ours, *(graphs if with_torch else [])]
    eager = [TORCH_BF16[0] if bf16 else TORCH[0]]
    return [*ours, *FLAX, *([*graphs, *eager] if with_torch else [])]


def item(sizes: Sizes, way: str, mode: str) -> dict[str, Any]:
    """What `worker` is asked to prepare."""
    return {
        "id": f"{way}|{mode}|{sizes.name}",
        "path": way,
        "precision": sizes.precision,
        "case": dataclasses.asdict(sizes.case(mode)),
    }
