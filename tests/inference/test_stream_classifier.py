"""Live classification says after each step what the network says of all steps so far."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from seqvision.config.validation import validate
from seqvision.data.preprocessing import to_unit_range
from seqvision.errors import UserError
from seqvision.inference.decision import DecisionRule
from seqvision.inference.predictor import Predictor
from seqvision.inference.stream_classifier import Belief, StreamClassifier
from seqvision.inference.stream_network import DeviceNetwork, HostNetwork
from seqvision.models import create_model
from seqvision.models.cells.base import CellOptions
from seqvision.models.readouts import READOUTS
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.classification import Classification
from tests.models import numpy_cells

CLASSES = tuple("abcde")
SHAPES = {"rows": (7, 5, 1), "columns": (5, 6, 2), "pixels": (3, 4, 2), "frames": (6, 5, 7, 3)}


def run_of(sequence: str = "rows", window: int = 0, **fields: Any) -> Run:
    """A run of random weights, large enough that beliefs differ from step to step."""
    config, shape = default.get_config(), SHAPES.get(sequence, (7, 5, 1))
    config.model.sequence = sequence
    config.data.window = window
    if window:
        config.data.source, config.data.path, config.data.kind = "npz", "clips.npz", "clips"
    options = {"hidden_size": 6, "cnn_channels": (3, 4)} | fields
    model = create_model(num_classes=len(CLASSES), sequence=sequence, **options)
    rng = np.random.default_rng(5)
    inputs = jnp.zeros((1, *shape), jnp.float32)
    shapes: Any = jax.eval_shape(model.init, jax.random.key(0), inputs)
    params = jax.tree.map(
        lambda leaf: rng.normal(0, 0.7, leaf.shape).astype(np.float32), shapes["params"]
    )
    facts = DataFacts("made", "1.0.0", shape, CLASSES, "dark", {})
    per_step = options.get("readout") == "per_step"
    task = Classification(CLASSES, per_step=per_step)
    return Run(Path("run"), validate(config), facts, task, model, params, step=1, seed=0)


@pytest.fixture(scope="module")
def rows() -> Run:
    return run_of()


def steps_of(run: Run, example: np.ndarray) -> np.ndarray:
    """An image or clip, its steps along its first axis."""
    sequence = run.settings.model.sequence
    if sequence == "pixels":
        return example.reshape(-1, example.shape[-1])
    return example.swapaxes(0, 1) if sequence == "columns" else example


def pushed(run: Run, steps: np.ndarray) -> np.ndarray:
    """Steps as they are pushed."""
    return steps.swapaxes(0, 1) if run.settings.model.sequence == "columns" else steps


def probabilities(beliefs: list[Belief]) -> np.ndarray:
    return np.array([belief.probabilities for belief in beliefs])


def examples(rng: np.random.Generator, run: Run, count: int) -> np.ndarray:
    """Noise; frames differ in brightness, or to the network they would be much the same."""
    inputs = rng.integers(0, 256, (count, *run.data.input_shape), np.uint8)
    if run.data.of_clips:
        inputs = (inputs * rng.random((*inputs.shape[:2], 1, 1, 1))).astype(np.uint8)
    return inputs


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


def test_much_work_is_not_for_the_host() -> None:
    """9 x 4 x 9000 products at each of 12 places of a frame are 4 million."""
    run = run_of("frames", cnn_channels=(4, 9000), hidden_size=2)
    networks = [StreamClassifier(run, count)._network for count in (1, 16)]
    assert [type(network) for network in networks] == [HostNetwork, DeviceNetwork]
