"""What the programs of the peers share: their command line, and the CSV file of predictions."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def run(
    network_of: Callable[[str], Any],
    evaluate: Callable[[Any], float],
    predict: Callable[[Any, Path, Path], None],
) -> None:
    """`evaluate WEIGHTS` prints the accuracy; `predict WEIGHTS FOLDER OUTPUT` writes a CSV file."""
    network = network_of(sys.argv[2])
    if sys.argv[1] == "evaluate":
        print(json.dumps({"accuracy": evaluate(network)}))
    else:
        predict(network, Path(sys.argv[3]), Path(sys.argv[4]))


def write_csv(paths: Sequence[str], probabilities: np.ndarray, output: Path) -> None:
    """A row for each file: its name, its class and the probability (N, K) of each."""
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "classes", *map(str, range(probabilities.shape[1]))])
        for path, row in zip(paths, probabilities.tolist(), strict=True):
            writer.writerow([path, row.index(max(row)), *row])
