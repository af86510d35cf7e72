"""The network that reads lines column by column: what it may see, and a run of it."""

import functools
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from rapidfuzz.distance import Levenshtein

from configs import default
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.models import COLUMNS, create_reader
from seqvision.models.column_cnn import ColumnCNN, block_by_image
from seqvision.models.line_reader import LineReader
from seqvision.models.line_steps import read_lines, start_lines
from seqvision.train import train_and_evaluate
from tests.data.test_line_images import save
from tests.same_run import assert_same_run, interrupt_at, rows

HEIGHT, WIDTH, DELAY, CLASSES = 7, 9, 3, 4


# --- the convolutions ---


def by_lax(params: Any, images: jax.Array) -> jax.Array:
    """A row of 0 is added where the height is odd."""
    for block in params.values():
        images = jnp.pad(images, ((0, 0), (0, images.shape[1] % 2), (0, 0), (0, 0)))
        maps = jax.lax.conv_general_dilated(
            images,
            block["conv"]["kernel"],
            (1, 1),
            ((1, 1), (0, 0)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision="highest",
        )
        maps = jax.nn.relu(maps + block["conv"]["bias"][None, None, None])
        pair = (1, 2, 1, 1)
        images = jax.lax.reduce_window(maps, -jnp.inf, jax.lax.max, pair, pair, "VALID")
    return images.transpose(0, 2, 3, 1).reshape(len(images), images.shape[2], -1)


@pytest.mark.parametrize("shape", [(4, 8, 9, 1), (3, 7, 5, 2), (1, 1, 6, 1)])
def test_column_cnn_equals_lax(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    cnn, images = ColumnCNN((3, 5)), rng.normal(size=shape).astype(np.float32)
    params = jax.jit(cnn.init)(jax.random.key(0), images)["params"]
    params = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape).astype(np.float32), params)

    def with_gradients(net: Any, argnums: Any = (0, 1)) -> Any:
        def loss(params: Any, images: Any) -> Any:
            steps = net(params, images)
            return (steps**2).sum(), steps

        return jax.jit(jax.value_and_grad(loss, argnums=argnums, has_aux=True))(params, images)

    def by_column_cnn(params: Any, images: Any) -> Any:
        return cnn.apply({"params": params}, images)

    found = with_gradients(by_column_cnn)
    (_, steps), _ = found
    map_height = math.ceil(math.ceil(shape[1] / 2) / 2)
    assert steps.shape == (shape[0], shape[2] - ColumnCNN.context_of((3, 5)), 5 * map_height)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    expected = with_gradients(by_lax)
    jax.tree.map(close, found, expected)
    # Where no one asks for the gradient of the images, that of the kernel is another product.
    jax.tree.map(close, with_gradients(by_column_cnn, 0)[1], expected[1][0])


def test_equal_rows_share_their_gradient() -> None:
    """Half to each, as `jnp.maximum` has it; none where the ReLU gives 0."""
    images = jnp.ones((1, 1, 4, 3))  # Inner rows are equal, and so are the first and the last.
    kernel = jnp.zeros((3, 3, 1, 2)).at[1, 2, 0, 0].set(1.0).at[1, 2, 0, 1].set(-1.0)

    def total(images: Any) -> Any:
        return block_by_image(images, kernel, jnp.zeros(2)).sum()

    found = jax.jit(jax.grad(total))(images)
    np.testing.assert_array_equal(found[0, 0], np.outer(np.full(4, 0.5), [0, 0, 1]))


# --- what it may see ---


def reader(sequence: str, **options: Any) -> tuple[LineReader, Any]:
    model = create_reader(
        num_classes=CLASSES,
        delay=DELAY,
        sequence=sequence,
        cnn_channels=(2, 3),
        hidden_size=5,
        **options,
    )
    images = jnp.zeros((1, HEIGHT, WIDTH, 1))
    params = jax.jit(model.init)(jax.random.key(0), images)["params"]
    return model, jax.tree.map(lambda leaf: 2 * leaf, params)


def lines(rng: np.random.Generator, number: int = 3, width: int = WIDTH) -> np.ndarray:
    return rng.uniform(size=(number, HEIGHT, width, 1)).astype(np.float32)


@pytest.mark.parametrize("sequence", COLUMNS)
def test_no_column_to_come_is_seen(rng: np.random.Generator, sequence: str) -> None:
    model, params = reader(sequence, num_layers=2)
    read = jax.jit(lambda inputs: model.apply({"params": params}, inputs))
    inputs = lines(rng)
    before = np.asarray(read(inputs))
    assert before.shape == (3, WIDTH + DELAY, CLASSES)
    assert before.dtype == np.float32
    for column in range(WIDTH):
        changed = inputs.copy()
        changed[:, :, column] = 1 - changed[:, :, column]
        after = np.asarray(read(changed))
        np.testing.assert_array_equal(after[:, :column], before[:, :column])
        assert (after[:, column] != before[:, column]).any(axis=-1).all()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sequence", COLUMNS)
def test_padding_changes_nothing(
    rng: np.random.Generator, sequence: str, bidirectional: bool
) -> None:
    model, params = reader(sequence, bidirectional=bidirectional)
    read = jax.jit(lambda inputs, lengths: model.apply({"params": params}, inputs, lengths))
    inputs, lengths = lines(rng), np.array([WIDTH, 4, 1], np.int32)
    together = read(inputs, lengths)
    for line, length in enumerate(lengths):
        alone = model.apply({"params": params}, jnp.asarray(inputs[line : line + 1, :, :length]))
        np.testing.assert_allclose(together[line, : length + DELAY], alone[0], atol=1e-5)
    whatever = inputs.copy()
    whatever[1, :, 4:] = 7
    np.testing.assert_array_equal(read(whatever, lengths)[1, : 4 + DELAY], together[1, : 4 + DELAY])


@pytest.mark.parametrize("num_lines", [3, 8])
@pytest.mark.parametrize("sequence", COLUMNS)
def test_lines_may_be_read_bit_by_bit(
    rng: np.random.Generator, sequence: str, num_lines: int
) -> None:
    """In parts of which each line has some columns, or none, or all (`None`); 8 are two groups."""
    model, params = reader(sequence, num_layers=2)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # The biases, which are 0 at first.
    read = jax.jit(functools.partial(read_lines, model))
    counts = [rng.integers(0, 5, num_lines, dtype=np.int32), None]
    counts += [rng.integers(0, 2, num_lines, dtype=np.int32), np.zeros(num_lines, np.int32), None]
    widths = [4, 3, 1, 4, 1]
    carry = start = start_lines(model, params, num_lines, HEIGHT)
    read_so_far: list[list[np.ndarray]] = [[] for _ in range(num_lines)]
    said: list[list[np.ndarray]] = [[] for _ in range(num_lines)]
    for width, lengths in zip(widths, counts, strict=True):
        part = lines(rng, num_lines, width)
        logits, carry = read(params, part, lengths, carry)
        for line, count in enumerate([width] * num_lines if lengths is None else lengths):
            read_so_far[line].append(part[line, :, :count])
            said[line].append(np.asarray(logits[line, :count]))
    wholes = [np.concatenate(parts, axis=1) for parts in read_so_far]
    totals = np.array([whole.shape[1] for whole in wholes], np.int32)
    padded = np.zeros((num_lines, HEIGHT, sum(widths), 1), np.float32)
    for line, whole in enumerate(wholes):
        padded[line, :, : totals[line]] = whole
    expected = jax.jit(model.apply)({"params": params}, padded, totals)
    for line, total in enumerate(totals):
        np.testing.assert_allclose(np.concatenate(said[line]), expected[line, :total], atol=1e-5)
    close = functools.partial(np.testing.assert_allclose, atol=1e-5)
    jax.tree.map(close, carry, read(params, padded, totals, start)[1])


def test_unknown_columns() -> None:
    with pytest.raises(ValueError, match="'rows' is not known; choose one of columns"):
        create_reader(num_classes=CLASSES, delay=DELAY, sequence="rows")


# --- a run ---


@pytest.fixture
def reading_config(data_home: Path) -> ConfigDict:
    """Lines of one to three digits."""
    config = default.get_config()
    config.data.source = "digit_lines"
    config.data.dir = str(data_home / "tfds")
    config.data.cache_dir = str(data_home / "cache")
    config.data.batch_size = 16
    config.data.eval_batch_size = 30
    config.lines.max_symbols = 3
    config.lines.width = 90
    config.lines.train_lines = 2000
    config.lines.validation_lines = 40
    config.lines.test_lines = 41
    config.model.sequence = "columns"
    config.model.readout = "per_step"
    config.model.hidden_size = 16
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes long to compile.
    config.duration = "6 steps"
    config.log_every = "2 steps"
    config.evaluate_every = "3 steps"
    config.checkpoint.every = "2 steps"
    config.checkpoint.keep_best = True
    config.ema_decay = 0.9
    return config


@pytest.mark.parametrize("sequence", ["cnn_columns"])
def test_an_interrupted_run_ends_with_the_same_bits(
    reading_config: ConfigDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequence: str
) -> None:
    reading_config.model.sequence = sequence
    reading_config.model.cnn_channels = (2, 3)
    reading_config.model.readout_dropout = 0.2
    whole = train_and_evaluate(reading_config, tmp_path / "whole")
    assert whole.metrics["test"]["count"] == 41
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        assert train_and_evaluate(reading_config, tmp_path / "cut").status == "interrupted"
    assert train_and_evaluate(reading_config, tmp_path / "cut") == whole
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_network_learns_to_read(
    reading_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading_config.duration = "200 steps"
    reading_config.log_every = "40 steps"
    reading_config.evaluate_every = reading_config.checkpoint.every = "never"
    reading_config.checkpoint.keep_best = False
    reading_config.model.hidden_size = 32
    reading_config.model.recurrent_init = "orthogonal"
    reading_config.optimizer.learning_rate = 1e-2
    reading_config.optimizer.clip_norm = 1.0
    result = train_and_evaluate(reading_config, tmp_path / "run")
    first = rows(tmp_path / "run")[0]
    test = result.metrics["test"]
    assert test["loss"] < 0.7 * first["loss"]
    assert test["cer"] < 0.9
    assert "test cer " in capsys.readouterr().out

    reading_config.data.eval_batch_size = 7
    output = tmp_path / "said.jsonl"
    metrics = evaluate_run(reading_config, tmp_path / "run", "test", str(output))
    assert metrics.row().keys() == test.keys()
    for name, value in metrics.row().items():
        assert value == pytest.approx(test[name], rel=1e-4), name
    said = capsys.readouterr().out
    assert "not as trained" not in said
    for text in ("decoding  greedy", "cer ", "exact match by"):
        assert text in said
    found = [json.loads(row) for row in output.read_text().splitlines()]
    assert [row["file"] for row in found] == list(range(41))
    edits = sum(Levenshtein.distance(row["text"], row["truth"]) for row in found)
    assert metrics.cer == pytest.approx(edits / sum(len(row["truth"]) for row in found))
    for row in found:
        assert len(row["text"]) == len(row["ends"]) == len(row["confidences"])
        assert row["ends"] == sorted(row["ends"])

    # Of lines that look otherwise, by the same network.
    reading_config.lines.level = "hard"
    harder = evaluate_run(reading_config, tmp_path / "run", "test")
    assert harder.count == 41
    assert harder.loss > metrics.loss
    assert "columns hold; not as trained: lines.level=hard\n" in capsys.readouterr().out
    reading_config.reading.delay = 3
    with pytest.raises(UserError, match=r"reading\.delay was 7 and is 3"):
        evaluate_run(reading_config, tmp_path / "run", "test")


def test_a_run_on_lines_of_ones_own(
    reading_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One text does not fit: it is named, and counts in all but the loss."""
    texts = {f"{number}.png": "été" for number in range(20)} | {"long.png": "é" * 60}
    save(tmp_path / "mine", texts, "labels.train.tsv")
    save(tmp_path / "mine", {"a.png": "tt", "b.png": "é" * 60}, "labels.test.tsv")
    reading_config.data.source = "lines"
    reading_config.data.path = str(tmp_path / "mine")
    reading_config.data.validation_fraction = 0.0
    reading_config.lines.width = 100
    reading_config.checkpoint.keep_best = False
    reading_config.duration = "4 steps"
    reading_config.log_every = "4 steps"
    result = train_and_evaluate(reading_config, tmp_path / "run")
    said = capsys.readouterr().out
    assert "train: 1 of 21 texts do not fit their columns" in said
    assert "left out of the loss: long.png" in said
    assert "test: 1 of 2 texts do not fit" in said
    assert result.metrics["test"]["count"] == 2
    assert result.metrics["test"]["unfit"] == 1
    assert "boundary_f1" not in result.metrics["test"]
    assert 0 < result.metrics["test"]["loss"] < 1000
    train = rows(tmp_path / "run")[0]
    assert train["count"] == 64
    assert 2 <= train["unfit"] <= 4  # Three epochs begun, each with one.
    assert 0 < train["loss"] < 1000
    metrics = evaluate_run(reading_config, tmp_path / "run", "test", str(tmp_path / "said.csv"))
    assert metrics.unfit == 1
    assert "test: 1 of 2 texts do not fit" in capsys.readouterr().out
    assert (tmp_path / "said.csv").read_text().splitlines()[1].startswith("a.png,tt,")
