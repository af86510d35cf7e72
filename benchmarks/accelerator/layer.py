"""The LSTM layer alone beside PyTorch's cuDNN on one NVIDIA GPU: us of a step and of a pass.

    python -m benchmarks.accelerator.layer --paths=persistent,scan,fused,cudnn
    python -m benchmarks.accelerator.layer --paths=torch

A step is the sum of the squares of the last hidden state, its gradient by all weights and, in JAX,
a small change of them, many in one compiled call. PyTorch takes no change: eager, and as a CUDA
graph that is replayed. Medians of 5 rounds.
"""

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks import options

SIZES = {  # B, T, D, H
    "usual": (128, 28, 28, 128),
    "batch 1024": (1024, 28, 28, 128),
    "64 units": (128, 28, 28, 64),
    "pixels": (128, 784, 1, 128),
    "tiny": (16, 3, 2, 16),
}
_CALLS = 40
Programs = Iterator[tuple[str, Callable[[], Any], int]]
"""Name, what to time (it waits for the GPU), and steps in each."""


def jax_programs(path: str, size: tuple[int, ...], dtype: str) -> Programs:
    """A step of training and a pass forward."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from seqvision.models.recurrent import Recurrent

    batch, num_steps, width, hidden = size
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return jnp.asarray(rng.normal(size=shape) / np.sqrt(shape[0]), jnp.float32)

    names = {"input_kernel": (width,), "recurrent_kernel": (hidden,), "bias": ()}
    cell = {name: normal(*shape, 4 * hidden) for name, shape in names.items()}
    inputs = jnp.asarray(rng.normal(size=(batch, num_steps, width)), jnp.float32)
    layer = Recurrent("lstm", hidden, execution=path, dtype=jnp.dtype(dtype))

    def last(cell: Any, inputs: Any) -> Any:
        return layer.apply({"params": {"cell": cell}}, inputs)[0][:, -1]

    def step(_: Any, cell: Any) -> Any:
        gradient = jax.grad(lambda cell: jnp.sum(last(cell, inputs) ** 2))(cell)
        return jax.tree.map(lambda old, change: old - 1e-6 * change, cell, gradient)

    def read(_: Any, inputs: Any) -> Any:
        return inputs + 1e-9 * jnp.mean(last(cell, inputs))

    for name, body, start in (("training", step, cell), ("forward", read, inputs)):
        run = jax.jit(functools.partial(jax.lax.fori_loop, 0, _CALLS, body))
        yield name, functools.partial(_finished, run, start), _CALLS


def _finished(run: Callable[[Any], Any], start: Any) -> None:
    import jax

    jax.block_until_ready(run(start))


def torch_programs(size: tuple[int, ...], dtype: str) -> Programs:
    """The same in PyTorch; float32 multiplies in TF32, bfloat16 is the type of all."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    batch, num_steps, width, hidden = size
    kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    layer = torch.nn.LSTM(width, hidden, batch_first=True).to("cuda", kind)
    inputs = torch.randn(batch, num_steps, width, device="cuda", dtype=kind)

    def step() -> None:
        layer.zero_grad(set_to_none=False)
        layer(inputs)[0][:, -1].float().pow(2).sum().backward()

    def read() -> None:
        with torch.no_grad():
            layer(inputs)

    def waiting(one: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> None:
            for _ in range(_CALLS):
                one()
            torch.cuda.synchronize()

        return run

    for name, one in (("training", step), ("forward", read)):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                one()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            one()
        yield f"{name}, eager", waiting(one), _CALLS
        yield f"{name}, graph", waiting(graph.replay), _CALLS


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.accelerator.layer", __doc__, results=False)
    parser.add_argument("--paths", default="persistent,scan,fused,cudnn", help="or torch")
    parser.add_argument("--sizes", default="usual,batch 1024,64 units,pixels")
    chosen: argparse.Namespace = parser.parse_args(arguments)
    for size in chosen.sizes.split(","):
        for dtype in ("float32", "bfloat16"):
            for path in chosen.paths.split(","):
                if path == "torch":
                    programs = torch_programs(SIZES[size], dtype)
                else:
                    programs = jax_programs(path, SIZES[size], dtype)
                try:
                    for name, run, calls in programs:
                        us = [1e6 * _seconds(run) / calls for _ in range(6)][1:]
                        print(f"{size}, {dtype}, {path}, {name}: {statistics.median(us):.1f} us")
                except (ValueError, RuntimeError) as error:  # Not for this size, or device.
                    print(f"{size}, {dtype}, {path}: {error}")
    return 0


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(options.run(main))
