"""Accuracy against how much was seen is that of examples pushed step by step under the rule."""

from typing import Any

import numpy as np
import pytest

from seqvision.data.dataset import ArraySplit
from seqvision.errors import UserError
from seqvision.inference.belief_screen import bars
from seqvision.inference.decision import DecisionRule
from seqvision.inference.decision_curve import THRESHOLDS, decision_curve
from seqvision.inference.stream_classifier import StreamClassifier
from seqvision.runs.saved_run import Run
from tests.inference.classifier_runs import examples, run_of


def live(run: Run, split: ArraySplit, rule: DecisionRule | None) -> tuple[float, float, float]:
    """Accuracy, fraction seen and fraction decided early, one example and step after another."""
    classifier = StreamClassifier(run, rule=rule)
    hits, seen, early = [], [], []
    lengths = [len(x) for x in split.inputs] if split.lengths is None else split.lengths.tolist()
    for array, label, length in zip(split.inputs, split.labels, lengths, strict=True):
        most = min(length, classifier.num_steps or length)
        beliefs = [belief for n in range(most) for belief in classifier.push(array[n : n + 1])]
        [last] = classifier.finish()
        at = next((belief.step for belief in beliefs if belief.decided), most)
        assert last.decision is not None
        hits.append(last.decision == label)
        seen.append(at / most)
        early.append(at < most)
    return float(np.mean(hits)), float(np.mean(seen)), float(np.mean(early))


def split_of(rng: np.random.Generator, run: Run) -> ArraySplit:
    """21 examples, no multiple of a batch; the labels are often what the network says at its end.

    Clips have 1 to 6 frames.
    """
    inputs = examples(rng, run, 21)
    lengths = rng.integers(1, 7, 21).astype(np.int32) if run.data.of_clips else None
    classifier, labels = StreamClassifier(run), []
    for number, array in enumerate(inputs):
        whole = array if lengths is None else array[: lengths[number]]
        classifier.push(whole[: classifier.num_steps])
        labels.append(classifier.finish()[0].classes)
    wrong = rng.random(21) < 0.2
    return ArraySplit(inputs, np.where(wrong, 0, labels).astype(np.int32), lengths)


@pytest.mark.parametrize(
    ("sequence", "window", "measure"),
    [("rows", 0, "probability"), ("frames", 0, "margin"), ("frames", 4, "probability")],
)
def test_the_curve_is_that_of_live_reading(
    rng: np.random.Generator, sequence: str, window: int, measure: str
) -> None:
    run = run_of(sequence, window)
    split = split_of(rng, run)
    curve = decision_curve(run, split, measure)
    for threshold in (0.1, 0.3, 0.4, 0.6, 0.9, 0.999999):
        point = curve.point(threshold)
        assert point[1:] == pytest.approx(live(run, split, DecisionRule(measure, threshold)))
    assert curve.point(None)[1:] == pytest.approx(live(run, split, None))
    assert [point.threshold for point in curve.points] == [*THRESHOLDS, None]
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
    seen = [point.seen for point in curve.points]
    assert seen == sorted(seen)
    assert seen[0] < 0.9


@pytest.mark.parametrize("within", [0.0, 0.1, 0.3, 1.0])
def test_the_smallest_threshold_from_which_on_all_are_accurate(
    rng: np.random.Generator, within: float
) -> None:
    run = run_of()
    split = split_of(rng, run)
    classifier = StreamClassifier(run)
    curve = classifier.calibrate(split.inputs[..., 0], split.labels, within=within)
    least = curve.points[-1].accuracy - within
    kept = [point.accuracy >= least for point in curve.points]
    fitting = [t for n, t in enumerate(THRESHOLDS) if all(kept[n:])]
    assert fitting
    assert curve.rule == DecisionRule("probability", fitting[0])
    classifier.rule = curve.rule
    assert classifier.push(split.inputs[0])[-1].decided


def test_only_reading_all(rng: np.random.Generator) -> None:
    """A network so sure that every threshold decides at its first step."""
    run = run_of()
    run.params["classifier"]["kernel"] *= 1e4
    images = examples(rng, run, 40)
    classifier = StreamClassifier(run)
    labels = []
    for image in images:
        labels.append(classifier.push(image)[-1].classes)
        classifier.reset()
    assert classifier.calibrate(images, np.array(labels)).rule is None


def test_what_cannot_be_calibrated(rng: np.random.Generator) -> None:
    run = run_of()
    classifier, images = StreamClassifier(run), examples(rng, run, 3)
    labels: Any = np.zeros(3, np.int32)
    for arguments, message in [
        ((images[:, :5], labels), r"inputs are uint8 \(3, 5, 5, 1\); .* uint8 \(N, 7, 5, 1\)"),
        ((images / 255, labels), "inputs are float64"),
        ((images, labels[:2]), r"labels are int32 \(2,\); needed are 3 whole numbers, 0 to 4"),
        ((images, labels + 5), "0 to 4"),
        ((images, labels / 2), "labels are float64"),
        ((images, labels, [7, 7, 7]), "images have none"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier.calibrate(*arguments)
    with pytest.raises(UserError, match="'entropy' is not known; choose probability or margin"):
        classifier.calibrate(images, labels, measure="entropy")
    for within in (2, float("nan")):
        with pytest.raises(UserError, match=f"within: {within}; "):
            classifier.calibrate(images, labels, within=within)
    with pytest.raises(UserError, match="there are no examples to calibrate"):
        classifier.calibrate(images[:0], labels[:0])
    clips = run_of("frames")
    for lengths in ([1, 7, 2], [1, 0, 2], [2.7, 2.0, 1.0], [1, np.nan, 2], [True] * 3, ["1"] * 3):
        with pytest.raises(ValueError, match=r"lengths are .* 3 whole numbers, 1 to 6"):
            StreamClassifier(clips).calibrate(examples(rng, clips, 3), labels, lengths)


def test_bars() -> None:
    names = ("cat", "a dog of long name", "newt")
    lines = bars(names, np.array([0.5, 0.25, 0.25], np.float32), 40)
    assert [len(line) for line in lines] == [40] * 3
    assert [line.count("█") for line in lines] == [8, 4, 4]
    assert lines[0].startswith("cat ")
    assert lines[1].endswith("25.0%")
    many = bars(tuple(map(str, range(50))), np.arange(50) / 1225, 60)
    assert [line.split()[0] for line in many] == [str(n) for n in range(40, 50)]
