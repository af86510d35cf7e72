"""Seconds of whole commands: the test set evaluated, a folder of PNGs predicted, beside the peers.

    python -m benchmarks.speed.commands --workdir=runs/row_lstm --torch_python=PYTHON \
        --keras_python=PYTHON

All have the weights of one trained row LSTM: the peers those of its exports. From the start of a
process to its end: imports, reading, computing, and what is printed or written. `evaluate` is the
accuracy of the 10,000 test images of MNIST, of which seqvision has decoded arrays in its cache and
the peers unpack the files; seqvision also computes all other metrics. `predict` writes a CSV of
classes and probabilities of the same images as 10,000 PNG files: PyTorch decodes them by a
DataLoader with a process for each core, Keras by `image_dataset_from_directory`. Programs that
compile find theirs in a cache, but in the first round, which is not counted. Classes must agree.
"""

import csv
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import options, report
from benchmarks.accuracy.mnist_files import read_split
from benchmarks.progress import Progress
from seqvision.errors import UserError

_ROOT = Path(__file__).parents[2]
_TASKS = ("evaluate", "predict")
CONTENDERS = ("seqvision", "torch", "keras_jax", "keras_tensorflow")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is made off the clock.

    Attributes:
      folder: of 10,000 PNG files.
      weights: of each peer's library.
      output: the CSV file.
    """

    folder: Path
    weights: Mapping[str, Path]
    output: Path


def command_of(contender: str, task: str, chosen: Any, inputs: Inputs) -> list[str]:
    """The command line of one contender."""
    if contender == "seqvision":
        command = [sys.executable, "main.py", f"--config={chosen.config}", f"--mode={task}"]
        command += [f"--workdir={chosen.workdir}"]
        files = [f"--inputs={inputs.folder}/*.png", f"--output={inputs.output}"]
        return command + (files if task == "predict" else [])
    library = contender.partition("_")[0]
    python = chosen.torch_python if library == "torch" else chosen.keras_python
    module = f"benchmarks.speed.contenders.{library}_commands"
    command = [python, "-m", module, task, str(inputs.weights[library])]
    return command + ([str(inputs.folder), str(inputs.output)] if task == "predict" else [])
