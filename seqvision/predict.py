"""Classes and probabilities for the user's images, from Python or into a file."""

import csv
import glob
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import jax
import numpy as np
from tqdm import tqdm

from seqvision.data.batches import pad
from seqvision.data.files import INVERSIONS, UnreadableImageError, read_image
from seqvision.errors import UserError, did_you_mean, explain_os_error
from seqvision.progress import on_terminal, say
from seqvision.record import write_whole
from seqvision.run import DataFacts, load_run
from seqvision.state import create_mesh
from seqvision.steps import batch_sharding, make_predict_step

FORMATS = (".csv", ".jsonl")


class Prediction(TypedDict):
    """`classes`: the most probable class, 0 to K - 1. `probabilities`: float32 (K,), sum 1."""

    classes: int
    probabilities: np.ndarray


class Predictor:
    """A trained network, ready to classify images.

        predictor = Predictor.from_run("runs/row_lstm")
        for prediction in predictor(images):
            print(prediction["classes"], prediction["probabilities"])

    Attributes:
      data: image shape and class names of the training data.
    """

    def __init__(
        self, predict: Callable[[np.ndarray], np.ndarray], data: DataFacts, batch_size: int
    ) -> None:
        self._predict = predict
        self._batch_size = batch_size
        self.data = data

    @classmethod
    def from_run(cls, workdir: str | Path, batch_size: int | None = None) -> "Predictor":
        """Takes the weights of a trained run.

        Args:
          workdir: the run's folder.
          batch_size: images per step; by default the run's `data.eval_batch_size`.

        Raises:
          UserError: there is no trained run.
        """
        run = load_run(Path(workdir), say)
        mesh = create_mesh()
        step = make_predict_step(run.model, mesh)

        def predict(images: np.ndarray) -> np.ndarray:
            return np.asarray(step(run.params, jax.device_put(images, batch_sharding(mesh))))

        batch_size = batch_size or run.settings.data.eval_batch_size
        return cls(predict, run.data, -(-batch_size // mesh.size) * mesh.size)

    def __call__(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        """Classifies images in order, a batch at a time, as they are asked for.

        Args:
          images: uint8 arrays (height, width, channels) as in training, or an array of them; the
            channel axis may be left out where there is one channel.

        Raises:
          ValueError: an image of another shape or type.
        """
        remaining = iter(images)
        while chunk := list(itertools.islice(remaining, self._batch_size)):
            batch = np.stack([self._checked(image) for image in chunk])
            # One batch size, so that one compiled program serves every chunk.
            padded = pad(batch, self._batch_size - len(batch))
            for probabilities in self._predict(padded)[: len(batch)]:
                yield Prediction(classes=int(probabilities.argmax()), probabilities=probabilities)

    def _checked(self, image: np.ndarray) -> np.ndarray:
        image, shape = np.asarray(image), self.data.image_shape
        if image.ndim == 2 and shape[-1] == 1:
            image = image[..., None]
        if image.shape != shape or image.dtype != np.uint8:
            raise ValueError(
                f"image is {image.dtype} {image.shape}; this run reads uint8 {shape}, 0 to 255"
            )
        return image


def predict_files(workdir: Path, inputs: str, output: str, invert: str) -> int:
    """Classifies image files and writes one row for each, in the order of their names.

    Args:
      workdir: a trained run.
      inputs: a glob pattern, such as `digits/*.png`.
      output: a `.csv` or `.jsonl` file, written whole or not at all; "" prints CSV.
      invert: see `data.files.read_image`.

    Returns:
      The number of files that could not be read; each has a row with its error.

    Raises:
      UserError: nothing matches, no trained run, or the output cannot be written.
    """
    if invert not in INVERSIONS:
        raise UserError(
            f"--invert: '{invert}' is not known; choose one of {', '.join(INVERSIONS)}"
            f"{did_you_mean(invert, INVERSIONS)}"
        )
    target = _checked_output(output)
    if not inputs:
        raise UserError("--inputs: missing; name image files, such as --inputs='digits/*.png'")
    paths = [Path(name) for name in sorted(glob.glob(inputs, recursive=True))]
    paths = [path for path in paths if not path.is_dir()]
    if not paths:
        pattern = f"{inputs.rstrip('/')}/*" if Path(inputs).is_dir() else "digits/*.png"
        raise UserError(
            f"--inputs: no file matches '{inputs}' in {Path.cwd()}; write a pattern, such as"
            f" '{pattern}'"
        )
    rows = list(_rows(Predictor.from_run(workdir), paths, invert))
    failed = sum(1 for row in rows if row["error"])
    text = _as_jsonl(rows) if target and target.suffix == ".jsonl" else _as_csv(rows)
    if target is None:
        sys.stdout.write(text)
    else:
        try:
            write_whole(target, text)
        except OSError as error:
            raise UserError(explain_os_error(error, target.parent, "--output")) from error
        say(f"{len(rows) - failed} predictions written to {target}")
    for row in rows:
        if row["error"]:
            print(f"unreadable: {row['file']}: {row['error']}", file=sys.stderr)
    return failed


def _checked_output(output: str) -> Path | None:
    if not output:
        return None
    target = Path(output)
    if target.suffix not in FORMATS:
        raise UserError(
            f"--output: '{output}' ends in '{target.suffix}'; choose {' or '.join(FORMATS)}"
        )
    if not target.parent.is_dir():
        raise UserError(f"--output: the folder {target.parent} does not exist; make it first")
    return target


def _rows(predictor: Predictor, paths: list[Path], invert: str) -> Iterator[dict[str, Any]]:
    """One row a file, in order; read and classified a batch at a time."""
    data = predictor.data
    errors: dict[Path, str] = {}

    def readable() -> Iterator[np.ndarray]:
        for path in tqdm(paths, unit="image", disable=not on_terminal(), leave=False):
            try:
                yield read_image(path, data.image_shape, data.background, invert)
            except UnreadableImageError as error:
                errors[path] = str(error)

    # All are read before the first row, so that `errors` is complete.
    predictions = iter(list(predictor(readable())))
    for path in paths:
        row: dict[str, Any] = {"file": str(path)}
        if path in errors:
            row |= {"classes": None, "label": None, "probabilities": None}
        else:
            prediction = next(predictions)
            row |= {
                "classes": prediction["classes"],
                "label": data.class_names[prediction["classes"]],
                "probabilities": [round(float(p), 6) for p in prediction["probabilities"]],
            }
        yield row | {"error": errors.get(path)}


def _as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _as_csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        probabilities = row["probabilities"]
        writer.writerow(
            row | {"probabilities": "" if probabilities is None else json.dumps(probabilities)}
        )
    return buffer.getvalue()
