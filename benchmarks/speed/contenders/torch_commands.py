"""The row LSTM in PyTorch as two programs: the test set evaluated, a folder of PNGs predicted.

    python -m benchmarks.speed.contenders.torch_commands evaluate WEIGHTS.npz
    python -m benchmarks.speed.contenders.torch_commands predict WEIGHTS.npz FOLDER OUTPUT.csv

WEIGHTS are those of an export with `--format=torch`. The folder is decoded by a DataLoader with a
process for each core that this one may use.
"""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.accuracy.mnist_files import read_split
from benchmarks.speed.contenders.peer_program import run, write_csv

_BATCH = 1000


class Network(torch.nn.Module):
    """Reads images (B, 28, 28) in [0, 1] row by row; logits (B, 10)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        hidden_size = weights["rnn.weight_hh_l0"].shape[1]
        self.rnn = torch.nn.LSTM(28, hidden_size, batch_first=True)
        self.classifier = torch.nn.Linear(hidden_size, 10)
        self.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.rnn(images)
        return self.classifier(hidden[-1])


class Pictures(Dataset[torch.Tensor]):
    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        with Image.open(self._paths[number]) as opened:
            return torch.from_numpy(np.asarray(opened.convert("L"), np.float32) / 255)


def network_of(weights: str) -> Network:
    with np.load(weights) as file:
        return Network(dict(file)).eval()


@torch.inference_mode()
def evaluate(network: Network) -> float:
    """The accuracy on the test set in %."""
    images, labels = map(torch.from_numpy, read_split("test"))
    parts = zip(images.split(_BATCH), labels.split(_BATCH), strict=True)
    right = sum(int((network(part).argmax(1) == truth).sum()) for part, truth in parts)
    return 100 * right / len(labels)


@torch.inference_mode()
def predict(network: Network, folder: Path, output: Path) -> None:
    paths = sorted(map(str, folder.glob("*.png")))
    loader = DataLoader(Pictures(paths), _BATCH, num_workers=len(os.sched_getaffinity(0)))
    probabilities = torch.cat([network(batch).softmax(1) for batch in loader])
    write_csv(paths, probabilities.numpy(), output)


if __name__ == "__main__":
    run(network_of, evaluate, predict)
