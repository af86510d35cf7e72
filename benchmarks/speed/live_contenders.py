"""A trained reader in ONNX Runtime and in PyTorch, column by column, for `live`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.inference.stream_events import Event, LineEvents, read_logits
from seqvision.models.parameters import convolutions
from seqvision.runs.saved_run import load_run

Step = Callable[[np.ndarray], np.ndarray]
"""The next columns uint8 (S, height, n, 1) to logits (S, n, K); it keeps the memory."""


def with_events(step: Step, workdir: Path, num_streams: int) -> Callable[..., list[Event]]:
    """A push that makes the events of `StreamReader`, and by the same function."""
    run = load_run(workdir)
    symbols, delay = run.data.class_names, run.settings.letter_delay
    lines = [LineEvents(stream, symbols, delay) for stream in range(num_streams)]

    def push(columns: dict[int, np.ndarray]) -> list[Event]:
        logits = step(np.stack([columns[n] for n in range(num_streams)])[..., None])
        return read_logits(lines, logits, [logits.shape[1]] * num_streams)

    return push


class OnnxStep:
    """The exported step in ONNX Runtime; one thread for one stream, as suits it best."""

    def __init__(self, path: Path, num_streams: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if num_streams == 1:
            options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path.read_bytes(), options)
        self._memory: dict[str, Any] = {}
        for part in self._session.get_inputs()[2:]:
            shape = (num_streams, *part.shape[1:])
            self._memory[part.name] = np.zeros(shape, np.float32)

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        lengths = np.full(len(columns), columns.shape[2], np.int32)
        inputs = {"inputs": columns, "lengths": lengths} | self._memory
        logits, *after = self._session.run(None, inputs)
        self._memory = dict(zip(self._memory, after, strict=True))
        return logits


class TorchStep:
    """The CNN on columns, `nn.LSTM` and a linear layer, eager or by `torch.compile`."""

    def __init__(self, workdir: Path, num_streams: int, compiled: bool) -> None:
        """Takes the weights of a run with one layer of LSTM.

        Raises:
          ImportError: PyTorch is not installed.
        """
        import torch

        if num_streams == 1:
            torch.set_num_threads(1)  # As suits one stream best.
        run = load_run(workdir)
        params: Any = run.params
        cell = params["recurrent"]["layer_0"]["cell"]
        height, size = run.data.input_shape[0], cell["recurrent_kernel"].shape[0]

        def tensor(array: Any) -> Any:
            return torch.tensor(np.array(array))

        blocks = [
            (tensor(np.transpose(conv["kernel"], (3, 2, 0, 1))), tensor(conv["bias"]))
            for conv in convolutions(params["columns"]["cnn"])
        ]
        # The gates have the same order, i f g o.
        lstm = torch.nn.LSTM(cell["input_kernel"].shape[0], size, batch_first=True)
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(tensor(cell["input_kernel"]).T)
            lstm.weight_hh_l0.copy_(tensor(cell["recurrent_kernel"]).T)
            lstm.bias_ih_l0.copy_(tensor(cell["bias"]))
            lstm.bias_hh_l0.zero_()
        kernel, bias = (tensor(params["classifier"][name]) for name in ("kernel", "bias"))

        def step(columns: Any, before: Any, h: Any, c: Any) -> Any:
            both = torch.cat([before, columns.permute(0, 3, 1, 2).float() / 255], dim=3)
            maps = both
            for weight, offset in blocks:
                odd = maps.shape[2] % 2
                maps = torch.nn.functional.pad(maps, (0, 0, 1, 1 + odd))
                maps = torch.relu(torch.nn.functional.conv2d(maps, weight, offset))
                maps = torch.nn.functional.max_pool2d(maps, (2, 1))
            steps = maps.reshape(maps.shape[0], -1, maps.shape[3]).transpose(1, 2)
            outputs, (h, c) = lstm(steps, (h, c))
            return outputs @ kernel + bias, both[..., -before.shape[3] :], h, c

        self._torch = torch
        self._step = torch.compile(step) if compiled else step
        context = 2 * len(blocks)
        zeros = torch.zeros(1, num_streams, size)
        self._memory = [torch.zeros(num_streams, 1, height, context), zeros, zeros]

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            logits, *self._memory = self._step(self._torch.from_numpy(columns), *self._memory)
            return logits.numpy()
