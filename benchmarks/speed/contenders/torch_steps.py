"""PyTorch: nn.LSTM, and the CNNs in front of it, on cuda where there is one."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.cases import LEARNING_RATE, NUM_BATCHES, NUM_CLASSES, Case
from benchmarks.speed.contender import Run
from benchmarks.speed.inputs import make_batches

_LAYOUTS = {
    "lstm": ("batch first", "time first"),
    "cnn_lstm": ("channels first", "channels last"),
    "frame_lstm": ("channels first", "channels last"),
}


class LSTMClassifier(nn.Module):
    """(B, T, D), or (T, B, D) unless `batch_first`, to logits (B, K)."""

    def __init__(self, num_features: int, hidden_size: int, batch_first: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(num_features, hidden_size, batch_first=batch_first)
        self.classifier = nn.Linear(hidden_size, NUM_CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        # Not outputs[:, -1], whose gradient would be zeros for all the other steps.
        _, (hidden, _) = self.lstm(inputs)
        return self.classifier(hidden[-1])


class CNNClassifier(nn.Module):
    """Images (B, 1, side, side) or clips (B, T, 1, side, side) to logits (B, K)."""

    def __init__(self, side: int, hidden_size: int) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.reader = LSTMClassifier(64 * (side // 4) ** 2, hidden_size, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        images = inputs.flatten(0, -4)
        return self.reader(self.cnn(images).unflatten(0, (len(inputs), -1)))


class TorchContender:
    """All combinations of what a user can choose, without changing what is computed.

    torch.compile leaves nn.LSTM itself as it is and compiles what is around it: with
    `torch._dynamo.config.allow_rnn`, which would change that, PyTorch 2.13 fails on CPU
    (mkldnn_rnn_layer: expected Tensor).
    """

    def __init__(self) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self._device.type == "cuda":
            # JAX's default there too.
            torch.set_float32_matmul_precision("high")

    def versions(self) -> dict[str, str]:
        on_gpu = self._device.type == "cuda"
        name = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} threads"
        return {"torch": torch.__version__, "device": f"{self._device.type}: {name}"}

    def settings(self, case: Case) -> dict[str, Callable[[], Run]]:
        if case.network not in _LAYOUTS:
            raise ValueError(f"torch runs {', '.join(_LAYOUTS)}, not {case.network}")
        # What was compiled for earlier cases counts against a limit, behind which it runs eagerly.
        torch.compiler.reset()
        settings: dict[str, Callable[[], Run]] = {}
        for layout, compile_it in itertools.product(_LAYOUTS[case.network], (False, True)):
            name = f"{layout}, {'torch.compile' if compile_it else 'eager'}"
            if case.mode == "forward":
                settings[name] = functools.partial(self._forward, case, layout, compile_it)
                continue
            for adam, fused in (("plain Adam", False), ("fused Adam", True)):
                build = functools.partial(self._training, case, layout, compile_it, fused)
                settings[f"{name}, {adam}"] = build
        return settings

    def _training(self, case: Case, layout: str, compile_it: bool, fused: bool) -> Run:
        model, batches = self._create(case, layout)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=fused)

        def loss_of(inputs: Tensor, labels: Tensor) -> Tensor:
            with self._precision(case):
                logits = model(inputs)
            return nn.functional.cross_entropy(logits.float(), labels)

        loss_function = torch.compile(loss_of, dynamic=False) if compile_it else loss_of

        def run(num_steps: int) -> None:
            for number in range(num_steps):
                optimizer.zero_grad(set_to_none=True)
                loss_function(*batches[number % NUM_BATCHES]).backward()
                optimizer.step()
            self._wait()

        return run

    def _forward(self, case: Case, layout: str, compile_it: bool) -> Run:
        model, batches = self._create(case, layout)
        model.eval()
        answer = torch.compile(model, dynamic=False) if compile_it else model

        def run(num_steps: int) -> None:
            with torch.inference_mode(), self._precision(case):
                for number in range(num_steps):
                    answer(batches[number % NUM_BATCHES][0])
            self._wait()

        return run

    def _create(self, case: Case, layout: str) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
        torch.manual_seed(0)
        model: nn.Module
        if case.network == "lstm":
            model = LSTMClassifier(case.num_features, case.hidden_size, layout == "batch first")
        else:
            model = CNNClassifier(case.num_features, case.hidden_size)
        data = [(torch.from_numpy(x), torch.from_numpy(y).long()) for x, y in make_batches(case)]
        if layout == "time first":
            data = [(inputs.transpose(0, 1).contiguous(), labels) for inputs, labels in data]
        if case.network != "lstm":
            data = [(inputs.movedim(-1, -3).contiguous(), labels) for inputs, labels in data]
        model = model.to(self._device)
        if layout == "channels last":
            for convolution in model.modules():
                if isinstance(convolution, nn.Conv2d):
                    convolution.to(memory_format=torch.channels_last)
        return model, [(x.to(self._device), y.to(self._device)) for x, y in data]

    def _precision(self, case: Case) -> Any:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=case.dtype == "bfloat16")

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
