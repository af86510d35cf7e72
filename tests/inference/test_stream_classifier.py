"""Live classification says after each step what the network says of all steps so far."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_classifier import Belief, StreamClassifier
from seqvision.inference.stream_network import DeviceNetwork, HostNetwork
from seqvision.models.cells.base import CellOptions
from seqvision.models.readouts import READOUTS
from seqvision.runs.saved_run import Run
from tests.inference.classifier_runs import (
    CLASSES,
    examples,
    probabilities,
    pushed,
    run_of,
    steps_of,
)
from tests.models import numpy_cells


def expected_of(run: Run, clips: np.ndarray) -> np.ndarray:
    """(N, T, K): what the whole network says of the first 1, 2, ... T frames of each clip."""
    apply = jax.jit(run.model.apply)

    def softmax(lengths: np.ndarray | None) -> np.ndarray:
        inputs = to_unit_range(jnp.asarray(clips))
        return np.asarray(jax.nn.softmax(apply({"params": run.params}, inputs, lengths)))

    if run.task.needs_predictions():
        return softmax(None)
    each = [softmax(np.full(len(clips), t + 1, np.int32)) for t in range(clips.shape[1])]
    return np.stack(each, axis=1)


def in_pieces(
    rng: np.random.Generator, run: Run, classifier: StreamClassifier, inputs: np.ndarray
) -> np.ndarray:
    """(N, T, K), read in pieces of 0 to 4 steps; streams wait at times."""
    waiting = [steps_of(run, example) for example in inputs]
    found: list[list[Belief]] = [[] for _ in inputs]
    while any(len(steps) for steps in waiting):
        sizes = {s: int(rng.integers(0, 5)) for s in range(len(inputs)) if rng.random() < 0.7}
        pieces = {s: pushed(run, waiting[s][:size]) for s, size in sizes.items()}
        for belief in classifier.push(pieces):
            found[belief.stream].append(belief)
        for stream, size in sizes.items():
            waiting[stream] = waiting[stream][size:]
    for stream, beliefs in enumerate(found):
        assert [belief.step for belief in beliefs] == list(range(1, len(beliefs) + 1))
        assert {belief.stream for belief in beliefs} == {stream}
    return np.stack([probabilities(beliefs) for beliefs in found])


@pytest.mark.parametrize("num_streams", [3, 20])
@pytest.mark.parametrize("readout", READOUTS)
def test_clips_on_the_host_and_compiled(
    rng: np.random.Generator, readout: str, num_streams: int
) -> None:
    run = run_of("frames", readout=readout, num_layers=2)
    clips = examples(rng, run, 3)
    found = in_pieces(rng, run, StreamClassifier(run, num_streams), clips)
    expected = expected_of(run, clips)
    assert np.abs(np.diff(expected, axis=1)).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("num_streams", [3, 20])
def test_clips_without_a_border(rng: np.random.Generator, num_streams: int) -> None:
    run = run_of("frames", cnn_channels=(3,), cnn_padding="valid")
    clips = examples(rng, run, 3)
    found = in_pieces(rng, run, StreamClassifier(run, num_streams), clips)
    np.testing.assert_allclose(found, expected_of(run, clips), atol=1e-5)


def test_a_cnn_for_each_frame_needs_the_whole_clip() -> None:
    run = run_of("frames", cnn_per_frame=True)
    with pytest.raises(UserError, match=r"^run: each frame .* the whole clip; choose a run of one"):
        StreamClassifier(run)


def test_clips_as_predictor_reads_them(rng: np.random.Generator) -> None:
    """Of any number of frames, more than in training included."""
    run = run_of("frames", cell="gru")
    clip = rng.integers(0, 256, (9, 5, 7, 3), np.uint8)
    predictions = Predictor(run, batch_size=9)([clip[: t + 1] for t in range(9)])
    expected = np.array([prediction["probabilities"] for prediction in predictions])
    beliefs = StreamClassifier(run).push(clip)
    np.testing.assert_allclose(probabilities(beliefs), expected, atol=1e-5)
    assert [b.classes for b in beliefs] == expected.argmax(axis=-1).tolist()
    assert [b.label for b in beliefs] == [CLASSES[b.classes] for b in beliefs]
    assert not any(belief.decided for belief in beliefs)


def by_hand(run: Run, cell: str, refine: bool, steps: np.ndarray, kind: str) -> np.ndarray:
    """(T, K), step by step in float64; `kind` is the readout."""
    params = jax.tree.map(np.float64, run.params)
    inputs = steps.reshape(len(steps), -1) / 255
    for layer in params["recurrent"].values():
        zeros = np.zeros(6)
        memory: Any = (zeros, zeros) if cell in numpy_cells.PAIRS else zeros
        outputs = []
        for x in inputs:
            memory = numpy_cells.STEPS[cell](layer["cell"], x, memory, np.ones(6), refine)
            outputs.append(memory[1] if cell in numpy_cells.PAIRS else memory)
        inputs = np.array(outputs)
    found = []
    for count in range(1, len(inputs) + 1):
        seen = inputs[:count]
        if kind == "attention":
            hidden, score = params["readout"]["hidden"], params["readout"]["score"]
            scores = np.tanh(seen @ hidden["kernel"] + hidden["bias"]) @ score["kernel"]
            weights = np.exp(scores) / np.exp(scores).sum()
            features = (weights * seen).sum(axis=0)
        else:
            features = {"mean": seen.mean(axis=0), "max": seen.max(axis=0)}.get(kind, seen[-1])
        logits = features @ params["classifier"]["kernel"] + params["classifier"]["bias"]
        found.append(np.exp(logits) / np.exp(logits).sum())
    return np.array(found)


@pytest.mark.parametrize(("cell", "refine"), numpy_cells.CASES)
def test_every_cell(rng: np.random.Generator, cell: str, refine: bool) -> None:
    run = run_of(cell=cell, options=CellOptions(refine_gates=refine), num_layers=2)
    check_by_hand(rng, run, cell, refine)


@pytest.mark.parametrize(
    ("sequence", "readout"),
    [("columns", "last"), ("pixels", "per_step"), *(("rows", kind) for kind in READOUTS[1:4])],
)
def test_every_sequence(rng: np.random.Generator, sequence: str, readout: str) -> None:
    check_by_hand(rng, run_of(sequence, readout=readout), "lstm", False)


def check_by_hand(rng: np.random.Generator, run: Run, cell: str, refine: bool) -> None:
    inputs = examples(rng, run, 2)
    kind = run.model.readout.kind
    expected = [by_hand(run, cell, refine, steps_of(run, one), kind) for one in inputs]
    found = in_pieces(rng, run, StreamClassifier(run, 2), inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sequence", ["rows", "columns", "pixels"])
def test_whole_images_are_what_predictor_says(rng: np.random.Generator, sequence: str) -> None:
    run = run_of(sequence)
    images = examples(rng, run, 3)
    expected = [prediction["probabilities"] for prediction in Predictor(run)(images)]
    for image, wanted in zip(images, expected, strict=True):
        classifier = StreamClassifier(run)
        assert classifier.num_steps == len(steps_of(run, image))
        beliefs = classifier.push(pushed(run, steps_of(run, image)))
        np.testing.assert_allclose(beliefs[-1].probabilities, wanted, atol=1e-5)
        # At its end an image is decided, without a rule.
        assert [belief.decided for belief in beliefs] == [False] * (len(beliefs) - 1) + [True]
        [last] = classifier.finish()
        assert (last.decision, last.step) == (wanted.argmax(), len(beliefs))
        assert classifier.finish() == []


def test_bfloat16_is_compiled(rng: np.random.Generator) -> None:
    """So large that XLA takes another way for a single step, which knows no bfloat16."""
    run = run_of("frames", compute_dtype="bfloat16", readout="attention", hidden_size=64)
    clips = examples(rng, run, 32)
    found = in_pieces(rng, run, StreamClassifier(run, 32), clips)
    np.testing.assert_allclose(found, expected_of(run, clips), atol=1e-5)


def test_much_work_is_not_for_the_host() -> None:
    """9 x 4 x 9000 products at each of 12 places of a frame are 4 million."""
    run = run_of("frames", cnn_channels=(4, 9000), hidden_size=2)
    networks = [StreamClassifier(run, count)._network for count in (1, 16)]
    assert [type(network) for network in networks] == [HostNetwork, DeviceNetwork]
