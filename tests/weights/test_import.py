"""Runs from weights of TensorFlow: they say what the program said, and Adam goes on from its slots.

The checkpoints in tests/data/estimator were written by the original programs in TensorFlow 1.15.5;
`said.npz` holds inputs, and the probabilities that they gave.
"""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqvision import importing
from seqvision.config.validation import validate
from seqvision.errors import UserError
from seqvision.evaluate import evaluate_run
from seqvision.importing import import_weights
from seqvision.models import create_model
from seqvision.models.parameters import named_leaves
from seqvision.runs import imported
from seqvision.runs.imported import foreign_layers, padding_of, with_weights
from seqvision.tasks.classification import Classification
from seqvision.tasks.from_config import create_network
from seqvision.training.optimizer import create_optimizer
from seqvision.training.state import make_init
from seqvision.weights import tensorflow_layers
from seqvision.weights.fitting import implied
from seqvision.weights.source import Source
from seqvision.weights.stored_arrays import StoredArrays, in_memory

ESTIMATOR = Path(__file__).parents[1] / "data/estimator"


PROGRAMS = {
    "row_lstm": "row_lstm:estimator",
    "book": "row_lstm:book",
    "cnn_lstm": "cnn_lstm:estimator",
    "frame_lstm": "frame_lstm:estimator",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_say_the_same(program: str) -> None:
    """By the network of the config alone, with the sizes of the weights."""
    source, layers = foreign_layers(ESTIMATOR / program)
    with np.load(ESTIMATOR / program / "said.npz") as said:
        inputs, expected = said["inputs"], said["probabilities"]
    name, _, variant = PROGRAMS[program].partition(":")
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    settings = validate(config)
    inputs = inputs if inputs.ndim > 3 else inputs[..., None]
    fields = dataclasses.replace(settings.model, **implied(layers))
    assert (padding_of(layers, inputs.shape[1:]) or "same") == fields.cnn_padding
    assert fields.cnn_per_frame == settings.model.cnn_per_frame
    task = Classification(tuple(map(str, range(10))))
    model = create_network(dataclasses.replace(settings, model=fields), task)
    optimizer = create_optimizer("adam", optax.constant_schedule(0.01))
    state = make_init(model, optimizer, inputs.shape[1:], {}, use_ema=False)(0)
    state, lines = with_weights(state, source, layers, inputs.shape[1:])
    assert any(line.startswith("Adam goes on") for line in lines)
    logits = jax.jit(model.apply)({"params": state.params}, inputs)
    np.testing.assert_allclose(jax.nn.softmax(logits, axis=-1), expected, rtol=0, atol=1e-6)


def test_a_run_from_a_model_directory(small_config: Any, tmp_path: Path) -> None:
    """It evaluates as the program said of itself."""
    settings = validate(small_config)
    program = ESTIMATOR / "row_lstm"
    import_weights(settings, tmp_path / "run", program, program / "said.npz")
    small_config.model.hidden_size = 64
    found = evaluate_run(validate(small_config), tmp_path / "run", "test")
    assert found.row()["accuracy"] == pytest.approx(0.9514, abs=1e-9)


def test_what_stands_in_the_way(small_config: Any, tmp_path: Path) -> None:
    settings = validate(small_config)
    program = ESTIMATOR / "row_lstm"
    workdir = tmp_path / "run"
    with pytest.raises(UserError, match=r"model\.hidden_size: 16, and the weights are of 64"):
        import_weights(settings, workdir, program, given=("hidden_size",))
    with pytest.raises(UserError, match="the program computed something else"):
        np.savez(tmp_path / "said.npz", inputs=np.zeros((1, 28, 28)), probabilities=np.eye(10)[:1])
        import_weights(settings, workdir, program, tmp_path / "said.npz")
    with pytest.raises(UserError, match="has no probabilities; give both"):
        np.savez(tmp_path / "half.npz", inputs=np.zeros((1, 28, 28)))
        import_weights(settings, workdir, program, tmp_path / "half.npz")
    cases = {
        "no_row.npz": {"inputs": np.zeros((0, 28, 28)), "probabilities": np.zeros((0, 10))},
        "scalar.npz": {"inputs": np.zeros(()), "probabilities": np.eye(10)[:1]},
        "text.npz": {"inputs": np.full((1, 28, 28), "a"), "probabilities": np.eye(10)[:1]},
        "nan.npz": {"inputs": np.zeros((1, 28, 28)), "probabilities": np.full((1, 10), np.nan)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(UserError, match="give finite numbers, at least one"):
            import_weights(settings, workdir, program, tmp_path / name)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "text.md").write_text("text")
    whole = (tmp_path / "nan.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").touch()
    for name in ("one.npy", "text.md", "cut.npz", "empty.npz"):
        with pytest.raises(UserError, match=r"is no \.npz file of arrays"):
            import_weights(settings, workdir, program, tmp_path / name)
    with pytest.raises(UserError, match="is not there"):
        import_weights(settings, workdir, program, tmp_path / "nothing.npz")
    with pytest.raises(UserError, match="the weights have a CNN; choose cnn or cnn_rows or frames"):
        import_weights(settings, workdir, ESTIMATOR / "cnn_lstm")
    assert not workdir.exists()
    workdir.mkdir()
    (workdir / "status.json").write_text("{}")
    with pytest.raises(UserError, match=r"--workdir: .* is there already"):
        import_weights(settings, workdir, program)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match=r"--workdir: .* is there already"):
        import_weights(settings, file, program)


def test_an_import_that_ends_early_leaves_nothing(
    small_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "write_status", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_weights(validate(small_config), tmp_path / "run", ESTIMATOR / "row_lstm")
    assert list(tmp_path.iterdir()) == []


ODD = {
    "a kernel with one axis": {"rnn/lstm_cell/kernel": np.zeros(8, np.float32)},
    "gates that are not four": {"rnn/lstm_cell/kernel": np.zeros((3, 6), np.float32)},
    "a bias of another size": {"rnn/lstm_cell/bias": np.zeros(5, np.float32)},
    "no bias": {"rnn/lstm_cell/bias": None},
    "integers": {"dense/kernel": np.zeros((3, 2), np.int32)},
    "a name of two lines": {"dense\nkernel": np.zeros(2, np.float32)},
    "an array too many": {"batch_normalization/gamma": np.zeros(2, np.float32)},
    "another output": {"dense/bias": np.zeros(7, np.float32)},
}


@pytest.mark.parametrize("what", ODD)
def test_odd_arrays_are_one_line(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    given = source_with_slots(rng, 3, 0.999)
    arrays = {name: given.arrays[name] for name in tensorflow_layers.variables(given.arrays)}
    arrays = {key: array for key, array in (arrays | ODD[what]).items() if array is not None}
    stored = StoredArrays({name: in_memory(array) for name, array in arrays.items()})
    monkeypatch.setattr(imported, "open_source", lambda path: Source("tensorflow", stored))
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    init = make_init(model, optax.sgd(0.1), (5, 4, 1), {}, use_ema=False)
    with pytest.raises(UserError) as caught:
        source, layers = imported.foreign_layers(Path("weights"))
        with_weights(init(0), source, layers, (5, 4, 1))
    assert str(caught.value).isprintable()


def source_with_slots(rng: np.random.Generator, updates: int, beta2: float) -> Source:
    shapes = {
        "rnn/lstm_cell/kernel": (4 + 3, 12),
        "rnn/lstm_cell/bias": (12,),
        "dense/kernel": (3, 2),
        "dense/bias": (2,),
    }
    arrays: dict[str, Any] = {}
    for name, shape in shapes.items():
        arrays[name] = np.float32(rng.normal(size=shape))
        arrays[f"{name}/Adam"] = np.float32(0.1 * rng.normal(size=shape))
        arrays[f"{name}/Adam_1"] = np.float32(0.01 * rng.random(shape))
    arrays["beta1_power"] = np.array(0.9 ** (updates + 1), np.float32)
    arrays["beta2_power"] = np.array(beta2 ** (updates + 1), np.float32)
    stored = {name: in_memory(array) for name, array in arrays.items()}
    return Source("tensorflow", StoredArrays(stored))


@pytest.mark.parametrize("updates", [0, 7, 1875])
def test_adam_goes_on_from_its_slots(rng: np.random.Generator, updates: int) -> None:
    """The next step is that of Kingma & Ba (2015, algorithm 1), in float64."""
    source = source_with_slots(rng, updates, 0.999)
    layers = tensorflow_layers.read(source.arrays)
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    optimizer = create_optimizer("adam", optax.constant_schedule(0.01))
    init = make_init(model, optimizer, (5, 4, 1), {}, use_ema=True)
    state, lines = with_weights(init(0), source, layers, (5, 4, 1))
    assert lines[-1] == f"Adam goes on from its slots, after {updates} updates"
    gradient = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), state.params
    )
    with jax.numpy_dtype_promotion("standard"):  # optax's own, outside of a compiled step.
        change, _ = optimizer.update(gradient, state.opt_state, state.params)
    found = dict(named_leaves(change))

    def moved(slot: str) -> dict[str, np.ndarray]:
        """The slot in our names and order: gates i, j, f, o to i, f, j, o, and rows apart."""
        kernel, bias = (
            source.arrays[f"rnn/lstm_cell/{name}/{slot}"] for name in ("kernel", "bias")
        )
        order = np.r_[0:3, 6:9, 3:6, 9:12]
        return {
            "recurrent/layer_0/cell/input_kernel": kernel[:4, order],
            "recurrent/layer_0/cell/recurrent_kernel": kernel[4:, order],
            "recurrent/layer_0/cell/bias": bias[order],
            "classifier/kernel": source.arrays[f"dense/kernel/{slot}"],
            "classifier/bias": source.arrays[f"dense/bias/{slot}"],
        }

    mean, square = moved("Adam"), moved("Adam_1")
    for name, leaf in named_leaves(gradient):
        g = np.float64(leaf)
        m = 0.9 * np.float64(mean[name]) + 0.1 * g
        v = 0.999 * np.float64(square[name]) + 0.001 * g**2
        step = updates + 1
        expected = -0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(found[name], expected, rtol=2e-4)
    jax.tree.map(np.testing.assert_array_equal, state.params, state.ema_params)


STEPS = [(np.float32(np.inf), 2**31 - 1), (np.int64(2**40), 2**31 - 1), (np.int64(-3), 0)]
STEPS += [(np.int64(12), 12), (np.arange(2), 7)]
"""What `global_step` is, and how many updates that says; beta2_power says 7."""


def test_updates(rng: np.random.Generator) -> None:
    given = source_with_slots(rng, 7, 0.999).arrays
    arrays = {name: given[name] for name in given}
    for step, updates in STEPS:
        assert imported._updates(arrays | {"global_step": step}) == updates
    del arrays["beta2_power"]
    assert imported._updates(arrays) == 1_000_000


def test_slots_that_are_not_like_the_weights(rng: np.random.Generator) -> None:
    given = source_with_slots(rng, 7, 0.999).arrays
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    optimizer = create_optimizer("adam", optax.constant_schedule(0.01))
    state = make_init(model, optimizer, (5, 4, 1), {}, use_ema=False)(0)
    for odd in (np.zeros(3, np.float32), np.zeros((7, 12), np.int32), np.float32(1)):
        arrays = {name: in_memory(given[name]) for name in given}
        arrays["rnn/lstm_cell/kernel/Adam"] = in_memory(np.asarray(odd))
        source = Source("tensorflow", StoredArrays(arrays))
        with pytest.raises(UserError, match="the slots Adam are not like the weights: "):
            with_weights(state, source, tensorflow_layers.read(source.arrays), (5, 4, 1))


def test_another_optimizer_starts_anew(rng: np.random.Generator) -> None:
    source = source_with_slots(rng, 3, 0.999)
    layers = tensorflow_layers.read(source.arrays)
    model = create_model(num_classes=2, sequence="rows", hidden_size=3, execution="scan")
    init = make_init(model, optax.sgd(0.1), (5, 4, 1), {}, use_ema=False)
    _, lines = with_weights(init(0), source, layers, (5, 4, 1))
    assert lines[-1].startswith("the slots of Adam are not used")
