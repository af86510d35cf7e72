"""Configs: every field strict, every error one line, every duration in steps."""

import dataclasses
import importlib
import inspect
import itertools
from pathlib import Path
from typing import Any

import jax
import pytest
from ml_collections import ConfigDict

from configs import default
from seqvision import models
from seqvision.config import data_schema, model_schema, schema
from seqvision.config.default_file import default_file
from seqvision.config.durations import Duration, describe
from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.config.validation import field_names, flatten, nest, validate
from seqvision.data.synthetic.line_recipe import LEVELS
from seqvision.errors import UserError
from seqvision.models.cells import CELLS
from seqvision.models.cells.base import CellOptions
from seqvision.models.execution.choose import CELLS_OF, EXECUTIONS, MAX_PERSISTENT_SIZE
from seqvision.models.readouts import READOUTS
from seqvision.models.recurrent import RecurrentStack
from seqvision.tasks.from_config import create_network, create_task
from seqvision.training.optimizer import create_optimizer, create_schedule
from tests.data.making import says

CONFIGS = sorted(
    path.stem for path in Path("configs").glob("*.py") if path.stem not in ("__init__", "default")
)
VARIANTS = {
    "column_reader": ("clean", "natural", "hard", "bidirectional", "hard,bidirectional", "quick"),
    "row_lstm": ("tuned", "fast", "estimator", "book"),
    "series": ("clips", "features", "slices"),
    "cnn_lstm": ("tuned", "estimator"),
    "frame_lstm": ("motion", "single_frame", "digit", "estimator"),
    "pixel_lstm": ("full", "small", "permuted"),
}


def shipped() -> list[tuple[str, str]]:
    return [(name, variant) for name in CONFIGS for variant in VARIANTS.get(name, ("",))]


@pytest.mark.parametrize(("name", "variant"), shipped())
def test_shipped_configs_load_validate_and_initialise(name: str, variant: str) -> None:
    module = importlib.import_module(f"configs.{name}")
    settings = validate(module.get_config(variant) if variant else module.get_config())
    assert Steps.of(settings, 55_000).total > 0
    model = create_network(settings, create_task(settings, tuple("0123456789")))
    data, clips, num_classes = settings.data, settings.clips, 10
    shape: tuple[int, ...] = (data.height or 28, data.width or 28, 1)
    if data.source == "moving_digits":
        shape = (clips.num_frames, clips.height, clips.width, clips.channels)
    if settings.model.sequence == "features":
        shape = (6, 1, 1, 1280)
    elif data.source != "moving_digits" and settings.model.sequence == "frames":
        shape = (6, *shape)
    if data.source == "digit_lines":
        shape = (32, settings.lines.width, 1)
    inputs = jax.ShapeDtypeStruct((2, *shape), "float32")
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    logits = jax.eval_shape(model.apply, variables, inputs)
    steps: tuple[int, ...] = (clips.num_frames,) if settings.model.readout == "per_step" else ()
    if settings.reads_text:
        steps, num_classes = (settings.lines.width + settings.reading.delay,), 11
    assert logits.shape == (2, *steps, num_classes)


def test_names_are_those_of_the_networks() -> None:
    assert set(model_schema.SEQUENCES) == {*models.SEQUENCES, *models.COLUMNS}
    assert tuple(models.COLUMNS) == model_schema.LINE_SEQUENCES
    assert tuple(LEVELS) == data_schema.LEVELS
    pairs = tuple("+".join(pair) for pair in itertools.combinations(LEVELS, 2))
    assert pairs == data_schema.MIXED_LEVELS
    assert tuple(CELLS) == model_schema.CELLS
    assert model_schema.EXECUTIONS == EXECUTIONS
    assert CELLS_OF["fused"] == model_schema.FUSED_CELLS
    assert MAX_PERSISTENT_SIZE == model_schema.PERSISTENT_HIDDEN_SIZE
    assert model_schema.READOUTS == READOUTS
    for name in schema.OPTIMIZERS:
        create_optimizer(name, 0.1)
    for name in schema.SCHEDULES:
        arguments = {"total_steps": 10, "warmup_steps": 2, "start_fraction": 0.1}
        create_schedule(name, peak=0.1, final_fraction=0.0, **arguments)


def test_the_network_takes_the_fields_of_the_schema() -> None:
    parameters = inspect.signature(models.create_model).parameters
    accepted = {name: parameter.default for name, parameter in parameters.items()}
    for fields in (dataclasses.fields(RecurrentStack), dataclasses.fields(CellOptions)):
        accepted |= {field.name: field.default for field in fields}
    not_fields = {"num_classes", "axis_name", "recurrent", "options", "dtype", "parent", "name"}
    # The weights are a file, which is read where they are needed.
    names = set(field_names(schema.Model)) - {"backbone_weights"}
    assert names == set(accepted) - not_fields
    for name in names:
        assert default.get_config().model[name] == accepted[name], name


@pytest.mark.parametrize("name", CONFIGS)
def test_each_config_opens_with_what_it_promises(name: str) -> None:
    opening = importlib.import_module(f"configs.{name}").__doc__ or ""
    assert f"python main.py --config=configs/{name}.py" in opening
    for promise in ("min", "cores", "jax"):
        assert promise in opening
    assert "accuracy" in opening or "error rate" in opening


def test_unknown_variant() -> None:
    from configs import row_lstm

    with pytest.raises(
        ValueError, match="'bok' is not known; choose tuned, fast99, fast, estimator"
    ):
        row_lstm.get_config("bok")


FIELDS = sorted(flatten(validate(default.get_config())))


def section_and_key(config: ConfigDict, field: str) -> tuple[ConfigDict, str]:
    *sections, key = field.split(".")
    for section in sections:
        config = config[section]
    return config, key


def test_each_field_is_needed_by_its_name_and_of_its_type() -> None:
    for field in FIELDS:
        config = default.get_config()
        section, key = section_and_key(config, field)
        value = section[key]
        del section[key]
        says(lambda config=config: validate(config), f"config.{field}: missing")
        section[f"{key}x"] = value
        text = says(lambda config=config: validate(config))
        assert text == f"config.{field}x: no such field; did you mean 'config.{field}'?"

        config = default.get_config()
        section, key = section_and_key(config, field)
        with section.ignore_type():
            section[key] = wrong = 3 if isinstance(value, str) else "text"
        says(lambda config=config: validate(config), f"config.{field}: {wrong!r}")


MADE = {"data.source": "moving_digits", "model.sequence": "frames"}
LINES = {"data.source": "digit_lines", "model.sequence": "cnn_columns", "model.readout": "per_step"}
OWN_CNNS = MADE | {"model.cnn_per_frame": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data.batch_size": -1}, "-1 is out of range; allowed is at least 1"),
        ({"data.batch_size": 0}, "allowed is at least 1"),
        ({"optimizer.learning_rate": 0.0}, "allowed is above 0"),
        ({"optimizer.learning_rate": float("nan")}, "nan is out of range"),
        ({"optimizer.beta1": 1.0}, "allowed is at least 0 and below 1"),
        ({"optimizer.name": "adm"}, "choose one of adam, adamw, sgd, rmsprop; did you mean 'adam'"),
        ({"model.sequence": "row"}, "did you mean 'rows'"),
        ({"model.cell": "grru"}, "did you mean 'gru'"),
        ({"model.readout": "per-step"}, "did you mean 'per_step'"),
        ({"model.cnn_channels": ()}, "allowed are one or more ints, each at least 1"),
        ({"model.cnn_channels": (32, 0)}, "such as (32, 64)"),
        ({"model.cnn_channels": (32, 6.5)}, "such as (32, 64)"),
        ({"model.dropout": 0.5}, "no effect between layers with config.model.num_layers=1"),
        ({"loss.step_weight": 0.5}, "no effect with config.model.readout=last; choose per_step"),
        ({"data.channels": 2}, "choose one of 0, 1, 3"),
        ({"data.height": 14}, "give both"),
        (
            {"data.path": "x.npz"},
            "no effect with config.data.source=tfds; choose one of npz, folders, features, idx",
        ),
        ({"data.source": "npz"}, "config.data.path: it is empty; name an .npz file"),
        ({"data.source": "folders"}, "config.data.path: it is empty; name a folder"),
        ({"data.source": "moving_digits"}, "generates clips; choose frames"),
        ({"data.window": 4}, "windows are cut from clips (frames)"),
        ({"data.window_stride": 4}, "no effect without config.data.window"),
        ({"duration": "10"}, "'10' is not a duration"),
        ({"duration": "10 minutes"}, "'10 minutes' is not a duration"),
        ({"duration": "-3 epochs"}, "'-3 epochs' is not a duration"),
        ({"duration": "never"}, "above 0"),
        ({"duration": "50 %"}, "'50 %' is no length of training"),
        ({"data.name": ""}, "name a TFDS dataset"),
        ({"seed": -1}, "allowed is at least 0"),
        ({"data.batch_size": 2**31}, "2147483648 is out of range"),
        ({"duration": "1e400 steps"}, "is too long"),
        ({"schedule.warmup": "120 %"}, "does not fit config.duration"),
        ({"schedule.warmup": "10 epochs"}, "does not fit config.duration"),
        ({"seed": True}, "True is a bool; allowed is an int"),
        ({"optimizer.weight_decay": 0.1}, "no effect with adam"),
        ({"optimizer.momentum": 0.9}, "no effect with adam"),
        ({"schedule.name": "one_cycle"}, "leaves one_cycle no rise"),
        (MADE | {"clips.min_frames": 9}, "config.clips.min_frames: 9 is more than"),
        (MADE | {"clips.digit_size": 29}, "config.clips.digit_size: 29 pixels do not fit"),
        (MADE | {"clips.task": "digit", "clips.turn": 5.0}, "config.clips.turn: 5 has no effect"),
        (MADE | {"data.validation_examples": 0}, "config.clips.validation_clips: 2000 clips need"),
        ({"model.readout": "per_step", "model.bidirectional": True}, "needs the whole sequence"),
        ({"model.readout": "per_step", "model.sequence": "cnn"}, "a single step; choose cnn_rows"),
        ({"model.gate_init": "chrono", "model.sequence": "cnn"}, "config.model.gate_init: chrono"),
        ({"model.gate_init": "chrono", "model.forget_bias": 2.0}, "leave it at 1"),
        ({"data.kind": "clips"}, "no effect with config.data.source=tfds; leave it at auto"),
        ({"data.broken_files": "skip"}, "config.data.broken_files: 'skip' has no effect"),
        (MADE | {"clips.noise": 1e30}, "is out of range; allowed is at least 0 and at most 10"),
        (MADE | {"data.height": 20, "data.width": 20}, "they have no effect on generated clips"),
        ({"model.recurrent_init": "identity", "model.cell": "min_gru"}, "no effect on min_gru"),
        ({"model.cell": "janet", "model.refine_gates": True}, "janet has no gate to refine"),
        (
            {"data.source": "npz", "data.path": "x.npz", "data.test_fraction": 0.95},
            "which leaves nothing to train on",
        ),
        ({"checkpoint.keep_best": True, "data.validation_examples": 0}, "keep_best: it needs"),
        ({"checkpoint.keep_best": True, "evaluate_every": "never"}, "keep_best: it needs"),
        ({"early_stopping.patience": 2, "data.validation_examples": 0}, "patience: it needs"),
        (MADE | {"checkpoint.keep_best": True, "clips.validation_clips": 0}, "best: it needs"),
        ({"model.cnn_padding": "full"}, "choose one of same, valid"),
        (
            {"model.cnn_padding": "valid"},
            "config.model.sequence=rows; leave it at same, or choose o",
        ),
        (LINES | {"model.cnn_padding": "valid"}, "cnn_columns reads one for each column; leave"),
        ({"model.cnn_per_frame": True}, "no effect with config.model.sequence=rows; switch it off"),
        (OWN_CNNS | {"clips.min_frames": 4}, "needs 8 frames of each clip, and config.clips makes"),
        (OWN_CNNS | {"data.window": 9}, "needs 9 frames of each clip, and config.clips makes some"),
    ],
)
def test_an_impossible_value_fails(change: dict[str, Any], message: str) -> None:
    config = default.get_config()
    for field, value in change.items():
        section, key = section_and_key(config, field)
        with section.ignore_type():
            section[key] = value
    assert says(lambda: validate(config), message).startswith("config.")


def test_an_unknown_section_and_a_value_for_a_section() -> None:
    config = default.get_config()
    with config.ignore_type():
        config.optimizer = 3
    says(lambda: validate(config), "3 is not a section")
    config.optimiser = ConfigDict()
    says(lambda: validate(config), "did you mean 'config.optimizer'")


@pytest.mark.parametrize(
    ("text", "batch_size", "num_examples", "steps"),
    [
        ("500 steps", 128, 55_000, 500),
        ("1 step", 128, 55_000, 1),
        ("10 epochs", 256, 55_000, 2148),  # 2148.4
        ("1 epoch", 1000, 55_000, 55),
        ("0.5 epochs", 100, 1000, 5),
        ("60000 examples", 32, 55_000, 1875),
        ("6e4 examples", 32, 55_000, 1875),
        ("1 example", 32, 55_000, 1),  # at least one step
        ("30 %", 32, 55_000, 300),
        ("never", 32, 55_000, 0),
        ("0 steps", 32, 55_000, 0),
    ],
)
def test_durations_in_steps(text: str, batch_size: int, num_examples: int, steps: int) -> None:
    assert Duration.parse(text).steps(batch_size, num_examples, total_steps=1000) == steps


def test_every_other_duration_may_be_a_share_of_the_training() -> None:
    config = default.get_config()
    config.duration = "3 epochs"
    config.log_every, config.evaluate_every, config.checkpoint.every = "5 %", "10 %", "50 %"
    steps = Steps.of(validate(config), 100 * config.data.batch_size)
    assert (steps.log_every, steps.evaluate_every, steps.checkpoint_every) == (15, 30, 150)


def test_warmup_longer_than_training() -> None:
    config = default.get_config()
    config.duration, config.schedule.warmup = "10 steps", "1 epochs"
    with pytest.raises(UserError, match="10 steps of warm-up do not fit the 10 steps"):
        Steps.of(validate(config), 10 * config.data.batch_size)


def test_a_batch_larger_than_the_set_is_named_and_not_the_warmup() -> None:
    config = default.get_config()
    config.duration, config.schedule.warmup = "1 epochs", "1 steps"
    with pytest.raises(UserError, match=r"config\.data\.batch_size: \d+ is more than the 10 examp"):
        Steps.of(validate(config), 10)


def test_flatten_and_nest_are_inverse() -> None:
    settings = validate(default.get_config())
    assert validate(ConfigDict(nest(flatten(settings)))) == settings


def test_the_default_config_is_the_generated_one() -> None:
    """`python -m seqvision.config.schema > configs/default.py` writes it anew."""
    assert Path("configs/default.py").read_text() == default_file()
    assert validate(default.get_config()) == Settings()


def test_the_descriptions_name_all_cells_and_optimizers() -> None:
    for names in (model_schema.CELLS, schema.OPTIMIZERS):
        assert f"# {', '.join(names[:-1])} or {names[-1]}." in default_file()


# Described together with the field above them.
SHARED_COMMENT = {
    "optimizer.beta2", "schedule.final_fraction", "data.width", "data.test_fraction",
    "clips.min_frames", "clips.train_min_swaps", "clips.width", "clips.channels", "clips.turn",
    "lines.max_symbols", "clips.validation_clips", "clips.test_clips", "lines.validation_lines",
    "lines.test_lines", "model.recurrent_dropout", "model.readout_dropout",
}  # fmt: skip


def test_every_field_is_described_in_the_default_config() -> None:
    lines = [line.strip() for line in Path("configs/default.py").read_text().splitlines()]
    described_above = {
        line.split(" = ")[0].removeprefix("config.")
        for above, line in itertools.pairwise(lines)
        if line.startswith("config.") and "ConfigDict()" not in line and above[:1] != "#"
    }
    assert described_above == SHARED_COMMENT


def test_validated_settings_are_taken_as_they_are() -> None:
    settings = validate(default.get_config())
    assert validate(settings) is settings


@pytest.mark.parametrize("text", ["1234567 steps", "12.3456789 epochs", "1e-05 epochs"])
def test_a_duration_is_written_down_exactly(text: str) -> None:
    assert describe(Duration.parse(text)) == text


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        validate(default.get_config()).seed = 1  # type: ignore[misc]
    assert isinstance(validate(default.get_config()), Settings)
