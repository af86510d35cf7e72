"""Lines of bars as letters, and the config of a network that reads them."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from configs import default

TEXTS = ("ab ba", "a", "bab a", "bb", "ab a b", "ba")
HEIGHT = 16


def drawn(text: str) -> np.ndarray:
    """(16, n) uint8: letters as bars, light on dark: a low, b high."""
    bars = {"a": slice(8, 14), "b": slice(2, 14), " ": slice(0)}
    line = np.zeros((HEIGHT, 4 + 8 * len(text)), np.uint8)
    for place, letter in enumerate(text):
        line[bars[letter], 4 + 8 * place : 8 + 8 * place] = 255
    return line


def save_lines(folder: Path) -> None:
    """The texts as images with dark ink on paper, and a table for each split."""
    (folder / "images").mkdir(parents=True)
    for number, text in enumerate(TEXTS):
        Image.fromarray(255 - drawn(text)).save(folder / f"images/{number}.png")
    rows = [f"{number}.png\t{text}\n" for number, text in enumerate(TEXTS)]
    for split, part in {"train": rows[:4], "validation": rows[4:5], "test": rows[5:]}.items():
        (folder / f"labels.{split}.tsv").write_text("".join(part))


def config_of(folder: Path) -> ConfigDict:
    config = default.get_config()
    config.data.source, config.data.path = "lines", str(folder)
    config.data.height = HEIGHT
    config.data.batch_size, config.data.eval_batch_size = 4, 4
    config.model.sequence, config.model.readout = "columns", "per_step"
    config.model.hidden_size = 16
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes long to compile.
    config.reading.delay = 4
    config.duration = "250 steps"
    config.optimizer.learning_rate = 1e-2
    config.optimizer.clip_norm = 1.0
    config.evaluate_every = config.checkpoint.every = "never"
    return config
