"""Sections about a class for every frame: confusions, accuracy by position, examples."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqvision.data.dataset import Split
from seqvision.data.targets import UNKNOWN
from seqvision.reports.calibration import calibration_section
from seqvision.reports.charts import line_chart, svg
from seqvision.reports.classifier_sections import confusions
from seqvision.reports.examined import (
    Examined,
    as_it_reads,
    example_arrays,
    example_names,
    predictions_of,
)
from seqvision.reports.examples import Chip, Example
from seqvision.reports.film import draw_film
from seqvision.reports.page import Section, fill
from seqvision.reports.pictures import frames_of, picture_of, picture_uri
from seqvision.runs.saved_run import Run

_EXAMPLES = 6
_KINDS = ("k0", "k1", "k2", "k3")


class ReadClip(NamedTuple):
    """A clip of t frames beside its prediction.

    Attributes:
      truths, classes: int (t,), UNKNOWN where a class is not known, or was not predicted.
      probabilities: float64 (t, K), 0 where nothing was predicted.
    """

    truths: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(t,), which frames count."""
        return (self.truths != UNKNOWN) & (self.classes != UNKNOWN)

    @property
    def wrong(self) -> np.ndarray:
        """(t,), which of these are wrong."""
        return self.known & (self.truths != self.classes)

    @property
    def sure(self) -> float:
        """How sure the network was in the least sure of these frames."""
        return float(self.probabilities.max(axis=1)[self.known].min(initial=1.0))


def step_sections(run: Run, split: Split, split_name: str) -> Iterator[Section]:
    """Predicts a split and describes what was found; frames of unknown class count nowhere."""
    run = as_it_reads(run, split)
    clips = read_clips(run, split)
    known = [clip.known for clip in clips]
    parts = list(zip(clips, known, strict=True))
    labels = np.concatenate([clip.truths[one] for clip, one in parts])
    if not len(labels):
        return
    predicted = np.concatenate([clip.classes[one] for clip, one in parts])
    sure = np.concatenate([clip.probabilities[one].max(axis=1) for clip, one in parts])
    examined = Examined(split, split_name, labels, predicted, sure, None, "frames")
    yield confusions(examined, run.data.class_names, "frames")
    accuracy, counts = position_accuracy(clips)
    words = position_words(accuracy, counts)
    places = (np.flatnonzero(counts) + 1).tolist()
    figure = line_chart({"accuracy": (places, accuracy[counts > 0].tolist())}, "frame", "accuracy")
    figure.axes[0].set_ylim(0, 1.02)
    body = fill("charts.html", words=[words], charts=[svg(figure, "Accuracy in each frame")])
    yield Section("positions", "Accuracy by position", body)
    yield _examples(run, split, split_name, clips)
    yield calibration_section(sure, labels == predicted)


def read_clips(run: Run, split: Split) -> list[ReadClip]:
    """All clips of a split, in its order."""
    return [
        ReadClip(np.asarray(label), one["classes"], np.nan_to_num(one["probabilities"]))
        for one, label in predictions_of(run, split)
    ]


def position_accuracy(clips: list[ReadClip]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy in the first, second, ... frame, float64 (T,), and how many are known there."""
    longest = max(len(clip.truths) for clip in clips)
    counts, wrong = np.zeros(longest, int), np.zeros(longest, int)
    for clip in clips:
        counts[: len(clip.known)] += clip.known
        wrong[: len(clip.wrong)] += clip.wrong
    return 1 - wrong / np.maximum(counts, 1), counts


def position_words(accuracy: np.ndarray, counts: np.ndarray) -> str:
    """Accuracy by position as a sentence."""
    places = np.flatnonzero(counts)
    first, last = int(places[0]), int(places[-1])
    worst = int(places[accuracy[places].argmin()])
    if accuracy[worst] == 1:
        return f"All are right, in frame {last + 1}, the last, too, which {counts[last]:,} have."
    return (
        f"In frame {first + 1} {accuracy[first]:.2%} are right, in frame {last + 1}, the last,"
        f" {accuracy[last]:.2%} of {counts[last]:,}; the fewest, {accuracy[worst]:.2%}, in frame"
        f" {worst + 1}."
    )


def _examples(run: Run, split: Split, split_name: str, clips: list[ReadClip]) -> Section:
    num_wrong = np.array([clip.wrong.sum() for clip in clips])
    order = np.argsort(-num_wrong, kind="stable")[:_EXAMPLES].tolist()
    worst = [number for number in order if num_wrong[number]]
    order = np.argsort([clip.sure for clip in clips], kind="stable").tolist()
    rest = [number for number in order[: _EXAMPLES + len(worst)] if number not in worst]
    numbers = worst + rest[:_EXAMPLES]
    names, arrays = example_names(split, numbers), example_arrays(split, numbers)
    shown = [
        _shown(run, name, array, clips[number])
        for name, array, number in zip(names, arrays, numbers, strict=True)
    ]
    words = [
        "Below each clip: the probability of each class in every frame, in the colours of the"
        " legend (grey: all other classes), and the class that it is (grey: unknown, or another)."
        " The legend has the probabilities in the last frame."
    ]
    groups = [
        ("The most frames wrong", shown[: len(worst)]),
        (f"The least sure{' of the others' * bool(worst)}", shown[len(worst) :]),
    ]
    body = fill("examples.html", words=words, split=split_name, groups=groups)
    return Section("examples", "Examples", body)


def _shown(run: Run, name: str, array: np.ndarray, clip: ReadClip) -> Example:
    names, picture = run.data.class_names, picture_of(array)
    is_of = np.eye(len(names))[clip.truths] * (clip.truths != UNKNOWN)[:, None]
    # Those that are there most, in the order of their names: alike in all clips if they are few.
    most = np.argsort(-(is_of + clip.probabilities).sum(axis=0), kind="stable")[: len(_KINDS)]
    kinds = list(zip(sorted(most.tolist()), _KINDS, strict=False))
    film = draw_film(
        picture.shape[:2], False, clip.probabilities, kinds, None, is_of, frames=frames_of(array)
    )
    right = int(clip.known.sum() - clip.wrong.sum())
    last = clip.probabilities[-1]
    return Example(
        name=name,
        title=f"{right} of {int(clip.known.sum())} known frames right",
        is_right=not clip.wrong.any(),
        picture=picture_uri(picture, array.ndim == 4),
        film=film,
        chips=[Chip(names[one], float(last[one]), kind) for one, kind in kinds],
        words=[_wrong_words(clip, names)],
    )


def _wrong_words(clip: ReadClip, names: tuple[str, ...]) -> str:
    wrong = np.flatnonzero(clip.wrong)
    if not len(wrong):
        return f"In each frame it was at least {clip.sure:.2%} sure."
    first = int(wrong[0])
    return (
        f"First wrong in frame {first + 1} of {len(clip.truths)}: taken for"
        f" {names[clip.classes[first]]}, is {names[clip.truths[first]]}."
    )
