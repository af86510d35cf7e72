"""Single examples of a classifier: each with a picture, a belief film and words."""

from typing import NamedTuple

import numpy as np

from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_classifier import StreamClassifier
from seqvision.reports.beliefs import sureness_words
from seqvision.reports.examined import Examined, example_arrays, example_names
from seqvision.reports.film import Film, draw_film
from seqvision.reports.occlusion import Bands, bands_of, occlusion, occlusion_words
from seqvision.reports.pictures import frames_of, picture_of, picture_uri
from seqvision.runs.saved_run import Run

_RIVALS = ("k2", "k3", "k4")
_NEAR = 0.1
"""A second rival that is so probable in the end is named, too."""
_LEAST_SCALE = 0.05
"""Of the bars: changes of a few points are small."""


class Chip(NamedTuple):
    """A class in the legend: its name, its probability in the end, the class of its colour."""

    name: str
    probability: float
    kind: str


class Example(NamedTuple):
    """What the page shows of an example.

    Attributes:
      name: its file, or its number.
      title: what it is and what it was taken for.
      is_right: whether both are the same.
      picture: a `data:` address.
      film: the drawing.
      chips: the classes in it.
      words: where the network became sure, and what mattered.
    """

    name: str
    title: str
    is_right: bool
    picture: str
    film: Film
    chips: list[Chip]
    words: list[str]


def read_examples(run: Run, examined: Examined, numbers: list[int]) -> tuple[list[Example], float]:
    """Reads examples of the split by their numbers, and looks at each more closely.

    Returns:
      The examples, and the scale of their bars: the change of a probability that fills the room.
    """
    if not numbers:
        return [], 1.0
    arrays = example_arrays(examined.split, numbers)
    predictor = Predictor(run)
    probabilities = [prediction["probabilities"] for prediction in predictor(arrays)]
    classes = [int(one.argmax()) for one in probabilities]
    bands = bands_of(run.settings, lambda axis: max(array.shape[axis] for array in arrays))
    changes: list[np.ndarray | None] = [None] * len(arrays)
    if bands is not None:
        changes[:] = occlusion(predictor, arrays, classes, bands)
    beliefs = [_beliefs(run, array) if examined.step_name else None for array in arrays]
    labels, names = examined.labels[numbers].tolist(), example_names(examined.split, numbers)
    parts = zip(names, labels, arrays, probabilities, beliefs, changes, strict=True)
    largest = [float(np.abs(one).max()) for one in changes if one is not None]
    most = max(_LEAST_SCALE, *largest, 0.0)
    return [_described(run, examined, bands, most, *part) for part in parts], most


def _beliefs(run: Run, array: np.ndarray) -> np.ndarray:
    """(T, K): after each step; of a clip that is longer than the window, of the first window."""
    classifier = StreamClassifier(run)
    pushes, _ = classifier.pushes(array)
    axis = 0 if classifier.step_name in ("pixels", "frames", "rows") else 1
    beliefs = classifier.push(np.concatenate(pushes, axis=axis))
    return np.array([belief.probabilities for belief in beliefs])


def _described(
    run: Run,
    examined: Examined,
    bands: Bands | None,
    most: float,
    name: str,
    label: int,
    array: np.ndarray,
    probabilities: np.ndarray,
    beliefs: np.ndarray | None,
    changes: np.ndarray | None,
) -> Example:
    names, winner = run.data.class_names, int(probabilities.argmax())
    kinds = class_kinds(probabilities, beliefs, winner, label)
    # A film in words and in the drawing: of the frames that it is of.
    shown = array[: len(beliefs)] if beliefs is not None and array.ndim == 4 else array
    picture = picture_of(shown)
    if changes is not None and bands is not None and shown.ndim == 4:
        changes = changes[: bands.count(len(shown))]
    runs_down = bands is None or (bands.axis == 0 and shown.ndim == 3)
    film = draw_film(
        picture.shape[:2],
        runs_down,
        beliefs,
        kinds,
        changes,
        most=most,
        frames=frames_of(shown),
    )
    words = []
    if beliefs is not None:
        words.append(sureness_words(beliefs, names, examined.step_name))
    if changes is not None and bands is not None:
        length = shown.shape[bands.axis]
        words.append(occlusion_words(changes, names[winner], bands, length))
    if len(shown) < len(array):
        words.append(f"The film is of the first window of {len(shown)} frames, of {len(array)}.")
    is_right = winner == label
    said = names[winner]
    title = f"{said}, right" if is_right else f"taken for {said}, is {names[label]}"
    return Example(
        name=name,
        title=title,
        is_right=is_right,
        picture=picture_uri(picture, shown.ndim == 4),
        film=film,
        chips=[Chip(names[one], float(probabilities[one]), kind) for one, kind in kinds],
        words=words,
    )


def class_kinds(
    probabilities: np.ndarray, beliefs: np.ndarray | None, winner: int, label: int
) -> list[tuple[int, str]]:
    """The classes to draw: what was said, what it is, the runner-up, what was believed most."""
    most = probabilities if beliefs is None else beliefs.max(axis=0)
    named = {label: "k1"} | {winner: "k0"}
    rivals = np.argsort(-probabilities, kind="stable")[1:3].tolist()
    rivals = rivals[: 1 + (probabilities[rivals[-1]] >= _NEAR)]
    believed = [n for n in np.argsort(-most, kind="stable").tolist() if most[n] >= 0.01]
    rivals = [n for n in dict.fromkeys(rivals + believed) if n not in named]
    named |= dict(zip(rivals, _RIVALS, strict=False))
    return sorted(named.items(), key=lambda item: item[1])
