"""Images and clips from Python: batched, padded, and predicted in order."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
import pytest

from configs import default
from seqvision.config.validation import validate
from seqvision.inference.predictor import Predictor
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.classification import Classification
from seqvision.tasks.classification_steps import BatchOutput


class FakeNetwork:
    """Gives class 0 the probability of the first pixel; counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, params: Any, images: Any, lengths: Any) -> BatchOutput:
        images = np.asarray(images)
        self.batches.append(len(images))
        first = images[:, 0, 0, 0] / np.float32(255)
        probabilities = np.stack([first, 1 - first], axis=1).astype(np.float32)
        return BatchOutput(probabilities, probabilities[:, None], None)


def predictor_of(step: Any, input_shape: tuple[int, ...], *class_names: str) -> Predictor:
    """One that calls `step`, with batches of 4 on two devices."""
    facts = DataFacts("made", "1.0.0", input_shape, class_names, "dark", {})
    settings, task = validate(default.get_config()), Classification(class_names)
    run = Run(Path("run"), settings, facts, task, nn.Dense(1), {}, step=1, seed=0)
    predictor = Predictor(run, batch_size=4)
    predictor._step = step
    return predictor


@pytest.fixture
def predictor() -> tuple[Predictor, FakeNetwork]:
    network = FakeNetwork()
    return predictor_of(network, (2, 2, 1), "yes", "no"), network


def test_predictions_come_in_order_a_batch_at_a_time(
    predictor: tuple[Predictor, FakeNetwork],
) -> None:
    predict, network = predictor
    values = [0, 255, 100, 200, 30, 40]
    images = (np.full((2, 2, 1), value, np.uint8) for value in values)
    predictions = predict(images)
    assert network.batches == []  # Nothing happens before it is asked for.
    first = next(predictions)
    assert network.batches == [4]
    found = [first, *predictions]
    assert network.batches == [4, 2]  # No more than needed.
    assert [p["classes"] for p in found] == [1, 0, 1, 0, 1, 1]
    np.testing.assert_allclose([p["probabilities"][0] for p in found], np.array(values) / 255)


def test_images_without_a_channel_axis_and_wrong_ones(
    predictor: tuple[Predictor, FakeNetwork],
) -> None:
    predict, _ = predictor
    assert len(list(predict(np.zeros((3, 2, 2), np.uint8)))) == 3
    assert list(predict([])) == []
    for wrong in (np.zeros((1, 3, 2), np.uint8), np.zeros((1, 2, 2), np.float32)):
        with pytest.raises(ValueError, match=r"this run reads uint8 \(2, 2, 1\), 0 to 255"):
            list(predict(wrong))


def test_clips_are_padded_to_the_longest_and_batched_by_their_frames() -> None:
    calls: list[tuple[tuple[int, ...], list[int]]] = []

    def network(params: Any, clips: Any, lengths: Any) -> BatchOutput:
        clips, lengths = np.asarray(clips), np.asarray(lengths)
        calls.append((clips.shape, lengths.tolist()))
        for clip, length in zip(clips, lengths, strict=True):
            assert (clip[:length] == length).all()
            assert (clip[length:] == 0).all()
        probabilities = np.ones((len(clips), 1), np.float32)
        return BatchOutput(probabilities, probabilities[:, None], None)

    predict = predictor_of(network, (4, 2, 2, 1), "one")
    lengths = [3, 4, 5, 1, 9]
    found = list(predict(np.full((n, 2, 2, 1), n, np.uint8) for n in lengths))
    assert [prediction["windows"][0]["frames"] for prediction in found] == [(0, n) for n in lengths]
    # At most 4 clips of 4 frames in a batch, as many fewer of longer ones; a multiple of 2 clips.
    assert calls == [
        ((2, 4, 2, 2, 1), [3, 4]),
        ((2, 8, 2, 2, 1), [5, 1]),
        ((2, 12, 2, 2, 1), [9, 0]),
    ]
