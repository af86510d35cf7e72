"""What a stream classifier keeps between steps, what it decides, and what it refuses."""

import dataclasses
import pickle
from typing import Any

import jax
import numpy as np
import pytest

from configs import default
from seqvision.config.validation import validate
from seqvision.errors import UserError
from seqvision.inference.decision import DecisionRule
from seqvision.inference.stream_classifier import StreamClassifier
from seqvision.runs.saved_run import Run
from tests.inference.classifier_runs import (
    examples,
    probabilities,
    run_of,
)


@pytest.fixture(scope="module")
def rows() -> Run:
    return run_of()


@pytest.mark.parametrize("rule", ["probability:0.4", "margin:0.2"])
def test_a_class_is_decided_on_once(rng: np.random.Generator, rows: Run, rule: str) -> None:
    classifier, decided_early = StreamClassifier(rows, rule=rule), 0
    for image in examples(rng, rows, 20):
        beliefs = [belief for row in image for belief in classifier.push(row[None])]
        first, second = np.sort(probabilities(beliefs))[:, :-3:-1].T
        sure = {"probability:0.4": first >= 0.4, "margin:0.2": first - second >= 0.2}[rule]
        at = int(sure.argmax()) if sure.any() else 6
        decided_early += at < 6
        assert [belief.decided for belief in beliefs] == [step >= at for step in range(7)]
        decision = beliefs[at].classes
        assert [b.decision for b in beliefs] == [None] * at + [decision] * (7 - at)
        assert classifier.finish()[0].decision == decision
    assert decided_early > 3
    classifier.push(image[:3])
    [last] = classifier.finish()
    assert (last.step, last.decided) == (3, True)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("probability", "'probability' is not understood; write probability or margin, a colon"),
        (0.9, "decision rule 0.9 is not understood; .* such as probability:0.95"),
        (("probability", 0.9), "is not understood"),
        ("margin:x", "'margin:x' is not understood"),
        ("entropy:0.9", "'entropy' is not known; choose probability or margin"),
        ("margin:1.5", "margin:1.5: the threshold must be above 0 and at most 1"),
        ("margin:nan", "the threshold must be above 0"),
        ("margin:0", "the threshold must be above 0"),
    ],
)
def test_rules_that_are_none(rows: Run, rule: Any, message: str) -> None:
    classifier = StreamClassifier(rows, rule="margin:0.5")
    with pytest.raises(UserError, match=message):
        classifier.rule = rule
    assert classifier.rule == DecisionRule("margin", 0.5)
    classifier.rule = None
    assert classifier.rule is None


@pytest.mark.parametrize("num_streams", [2, 18])
def test_saved_restored_and_reset(rng: np.random.Generator, rows: Run, num_streams: int) -> None:
    rule = DecisionRule("probability", 0.35)
    first, second = (StreamClassifier(rows, num_streams, rule) for _ in range(2))
    images = examples(rng, rows, 2)
    expected = probabilities(first.push({0: images[0], 1: images[1][:5]}))
    decisions = [belief.decision for belief in first.finish([0, 1])]
    beliefs = first.push({0: images[0][:4], 1: images[1][:2]})
    saved = pickle.dumps(first.save())
    first.push({0: images[1][:1]})
    second.push({1: images[0][:5]})
    for classifier in (first, second):
        classifier.restore(pickle.loads(saved))
        found = beliefs + classifier.push({1: images[1][2:5], 0: images[0][4:]})
        found.sort(key=lambda belief: belief.stream)
        np.testing.assert_allclose(probabilities(found), expected, atol=1e-6)
        assert [belief.decision for belief in classifier.finish([0, 1])] == decisions
    second.push({0: images[1][:3], 1: images[1][:3]})
    second.reset(0)
    again = second.push({0: images[0], 1: images[1][3:5]})
    np.testing.assert_allclose(probabilities(again[:7]), expected[:7], atol=1e-6)
    np.testing.assert_allclose(probabilities(again[7:]), expected[-2:], atol=1e-6)
    state = second.save()
    for damaged in (
        state._replace(memory=state.memory[0]),
        *(
            state._replace(streams=(seen,) * num_streams)
            for seen in (
                (1, None, None),
                (99, np.full(5, 0.2, np.float32), None),
                (3, np.full(5, 0.2, np.float32), 5),
                (3, np.full(5, 20, np.float32), None),
                (3, np.full(5, np.nan, np.float32), None),
                (3, np.full(5, 0.2), None),
                (True, np.full(5, 0.2, np.float32), None),
                (0, None, 2),
                "seven",
                None,
            )
        ),
        state._replace(streams=None),
        state._replace(memory=jax.tree.map(lambda leaf: leaf * np.nan, state.memory)),
    ):
        with pytest.raises(ValueError, match="the state is damaged"):
            second.restore(damaged)
    with pytest.raises(ValueError, match="streams; this classifier has 3"):
        StreamClassifier(rows, 3).restore(state)
    with pytest.raises(ValueError, match="the state is of another network than this classifier"):
        StreamClassifier(run_of(cell="gru"), num_streams).restore(state)


def test_bad_steps_change_nothing(rng: np.random.Generator, rows: Run) -> None:
    image = examples(rng, rows, 1)[0]
    classifier = StreamClassifier(rows, 2)
    expected = probabilities(classifier.push({0: image, 1: image[:2]}))
    classifier.reset([0, 1])
    classifier.push({0: image[:4], 1: image[:2, :, 0]})
    floats = image / np.float32(255)
    floats[3, 2] = np.nan
    for steps, message in [
        ({1: image[:1], 0: image[:, :4]}, r"uint8 \(7, 4, 1\); this run reads uint8 \(any number"),
        ({1: image[:1], 0: image[0, :, 0]}, r"rows are uint8 \(5,\); .* of rows, 5, 1\)"),
        ({1: image[:1], 0: np.repeat(image, 3, axis=2)}, r"\(7, 5, 3\)"),
        ({1: image[:1], 0: image / 255}, r"rows are float64 \(7, 5, 1\)"),
        ({1: image[:1], 0: floats}, "NaN in row 3 of them"),
        ({1: image[:1], 0: image[:4]}, r"stream 0: 4 more rows after 4 of 7; .* call finish\(0\)"),
        ({1: image[:1], 2: image}, "stream 2: this classifier has streams 0 to 1"),
        ({1: image[:1], "0": image}, "stream '0'"),
        (image, "rows of which stream"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier.push(steps)
    assert classifier.push({0: image[:0], 1: np.zeros((0, 5))}) == []
    beliefs = classifier.push({0: image[4:]})
    np.testing.assert_allclose(probabilities(beliefs), expected[4:7], atol=1e-6)
    np.testing.assert_allclose(classifier.finish(1)[0].probabilities, expected[-1], atol=1e-6)
    with pytest.raises(ValueError, match="stream 5"):
        classifier.reset(5)
    with pytest.raises(ValueError, match="whole number from 1"):
        StreamClassifier(rows, 0)


def test_a_window_is_the_end(rng: np.random.Generator) -> None:
    run = run_of("frames", window=4)
    clip = examples(rng, run, 1)[0]
    classifier = StreamClassifier(run)
    beliefs = classifier.push(clip[:4])
    assert beliefs[-1].decided
    with pytest.raises(ValueError, match=r"1 more frames after 4 of 4; .*config\.data\.window"):
        classifier.push(clip[4:5])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bidirectional": True}, "it reads in both directions, and needs the whole input"),
        ({"sequence": "cnn"}, "CNNFeatures"),
        ({"sequence": "cnn_rows"}, "CNNRows"),
        ({"sequence": "patches", "patch_size": 1}, "Patches"),
        ({"sequence": "permuted_pixels"}, r"Pixels.*from Python: Predictor"),
    ],
)
def test_what_needs_whole_images_says_so(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^run: .*{message}"):
        StreamClassifier(run_of(**fields))


def test_a_run_that_reads_text_says_so(rows: Run) -> None:
    config = default.get_config()
    config.model.sequence, config.model.readout = "columns", "per_step"
    config.data.source = "digit_lines"
    with pytest.raises(UserError, match=r"reads text and knows no classes; .* StreamReader"):
        StreamClassifier(dataclasses.replace(rows, settings=validate(config)))
