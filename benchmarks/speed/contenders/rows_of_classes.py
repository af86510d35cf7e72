"""A CSV file of predictions, as the peers' programs write it."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_csv(paths: Sequence[str], probabilities: np.ndarray, output: Path) -> None:
    """A row for each file: its name, its class and the probability (N, K) of each."""
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "classes", *map(str, range(probabilities.shape[1]))])
        for path, row in zip(paths, probabilities.tolist(), strict=True):
            writer.writerow([path, row.index(max(row)), *row])
