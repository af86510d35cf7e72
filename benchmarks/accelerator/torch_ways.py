"""Steps of PyTorch's nn.LSTM: eager, and as a CUDA graph of one step for each of the batches."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.speed.cases import LEARNING_RATE, NUM_BATCHES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.contenders.torch_steps import LSTMClassifier
from benchmarks.speed.inputs import make_batches

THREADS = False
"""Captures of graphs do not go side by side."""
_DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
_WARM_UP = 3


def versions() -> dict[str, str]:
    name = torch.cuda.get_device_name() if _DEVICE.type == "cuda" else "cpu"
    return {"torch": torch.__version__, "device": name}


def set_precision(precision: str) -> None:
    """TF32 or float32 products, in cuBLAS and in cuDNN."""
    allowed = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def build(item: dict[str, Any]) -> Run:
    """Paths: `torch eager` and `torch graph`; with `, bf16 module` weights are bfloat16 too.

    Otherwise bfloat16 is autocast. Batches are (T, B, D), which is cuDNN's own order.
    """
    case, precision = Case(**item["case"]), item["precision"]
    set_precision(precision)
    one_step = _make_step(case, precision, "module" in item["path"])
    run = _as_graphs(one_step) if "graph" in item["path"] else _eager(one_step)

    def in_precision(num_steps: int) -> None:
        set_precision(precision)
        run(num_steps)
        if _DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return in_precision


def _make_step(case: Case, precision: str, as_module: bool) -> Callable[[int], None]:
    """Takes a step on one of the batches."""
    torch.manual_seed(0)
    kind = torch.bfloat16 if as_module else torch.float32
    model = LSTMClassifier(case.num_features, case.hidden_size, batch_first=False)
    model = model.to(_DEVICE, kind)
    batches = [
        (
            torch.from_numpy(inputs).transpose(0, 1).contiguous().to(_DEVICE, kind),
            torch.from_numpy(labels).long().to(_DEVICE),
        )
        for inputs, labels in make_batches(case)
    ]
    uses_autocast = precision == "bfloat16" and not as_module

    def context() -> Any:
        if not uses_autocast:
            return contextlib.nullcontext()
        # A cache of weights would outlive the capture of a graph.
        return torch.autocast(_DEVICE.type, torch.bfloat16, cache_enabled=False)

    if case.mode == "forward":
        model.eval()

        def forward(number: int) -> None:
            with torch.no_grad(), context():
                model(batches[number][0])

        return forward
    on_gpu = _DEVICE.type == "cuda"
    optimizer = torch.optim.Adam(
        model.parameters(), lr=LEARNING_RATE, fused=on_gpu, capturable=on_gpu
    )

    def train(number: int) -> None:
        inputs, labels = batches[number]
        optimizer.zero_grad(set_to_none=True)
        with context():
            logits = model(inputs)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return train


def _eager(one_step: Callable[[int], None]) -> Run:
    def run(num_steps: int) -> None:
        for number in range(num_steps):
            one_step(number % NUM_BATCHES)

    return run


def _as_graphs(one_step: Callable[[int], None]) -> Run:
    """A graph for each batch, so that inputs rotate without being copied.

    A graph reads its tensors at their addresses without keeping them alive: `one_step` holds them.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for number in range(_WARM_UP):
            one_step(number % NUM_BATCHES)
    torch.cuda.current_stream().wait_stream(side)
    graphs: list[tuple[Any, Callable[[int], None]]] = []
    for number in range(NUM_BATCHES):
        graph = torch.cuda.CUDAGraph()
        pool = graphs[0][0].pool() if graphs else None
        with torch.cuda.graph(graph, pool=pool):
            one_step(number)
        graphs.append((graph, one_step))

    def run(num_steps: int) -> None:
        for number in range(num_steps):
            graphs[number % NUM_BATCHES][0].replay()

    return run


def peak(precision: str, size: int) -> dict[str, Any]:
    """FLOP/s of the product of two large square matrices of random numbers."""
    set_precision(precision)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(size, size, device=_DEVICE, dtype=kind) for _ in range(2))
    times = []
    for _ in range(4):  # The first warms up.
        start = time.perf_counter()
        for _ in range(5):
            left @ right
        if _DEVICE.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / 5)
    return {"flops": 2 * size**3 / min(times[1:])}
