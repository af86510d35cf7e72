"""Configs: every field strict, every error one line, every duration in steps."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import jax
import pytest
from ml_collections import ConfigDict

from configs import default
from seqvision.config import Duration, Settings, Steps, describe, flatten, nest, validate
from seqvision.errors import UserError
from seqvision.run import model_of

CONFIGS = sorted(
    path.stem for path in Path("configs").glob("*.py") if path.stem not in ("__init__", "default")
)
VARIANTS = {"row_lstm": ("tuned", "estimator", "book")}


def shipped() -> list[tuple[str, str]]:
    return [(name, variant) for name in CONFIGS for variant in VARIANTS[name]]


@pytest.mark.parametrize(("name", "variant"), shipped())
def test_shipped_configs_load_validate_and_initialise(name: str, variant: str) -> None:
    module = importlib.import_module(f"configs.{name}")
    settings = validate(module.get_config(variant))
    assert Steps.of(settings, 55_000).total > 0
    model = model_of(settings, num_classes=10)
    images = jax.ShapeDtypeStruct((2, 28, 28, 1), "float32")
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    logits = jax.eval_shape(model.apply, variables, images)
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("name", CONFIGS)
def test_each_config_opens_with_what_it_promises(name: str) -> None:
    opening = importlib.import_module(f"configs.{name}").__doc__ or ""
    assert f"python main.py --config=configs/{name}.py" in opening
    for promise in ("accuracy", "min", "cores", "jax"):
        assert promise in opening


def test_unknown_variant() -> None:
    from configs import row_lstm

    with pytest.raises(ValueError, match="'bok' is not known; choose tuned, estimator or book"):
        row_lstm.get_config("bok")


FIELDS = sorted(flatten(validate(default.get_config())))


def section_and_key(config: ConfigDict, field: str) -> tuple[ConfigDict, str]:
    *sections, key = field.split(".")
    for section in sections:
        config = config[section]
    return config, key


@pytest.mark.parametrize("field", FIELDS)
def test_a_misspelt_key_fails_with_the_right_name(field: str) -> None:
    config = default.get_config()
    section, key = section_and_key(config, field)
    section[f"{key}x"] = section[key]
    del section[key]
    with pytest.raises(UserError) as error:
        validate(config)
    assert str(error.value) == f"config.{field}x: no such field; did you mean 'config.{field}'?"


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_key_fails(field: str) -> None:
    config = default.get_config()
    section, key = section_and_key(config, field)
    del section[key]
    with pytest.raises(UserError, match=f"config.{field}: missing"):
        validate(config)


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_type_fails(field: str) -> None:
    config = default.get_config()
    section, key = section_and_key(config, field)
    wrong: Any = 3 if isinstance(section[key], str) else "text"
    with section.ignore_type():
        section[key] = wrong
    with pytest.raises(UserError, match=rf"config\.{field}: {wrong!r}") as error:
        validate(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.batch_size", -1, "-1 is out of range; allowed is at least 1"),
        ("data.batch_size", 0, "allowed is at least 1"),
        ("optimizer.learning_rate", 0.0, "allowed is above 0"),
        ("optimizer.learning_rate", float("nan"), "nan is out of range"),
        ("optimizer.beta1", 1.0, "allowed is at least 0 and below 1"),
        ("optimizer.name", "adm", "choose one of adam, adamw, sgd, rmsprop; did you mean 'adam'"),
        ("model.architecture", "row_lstn", "did you mean 'row_lstm'"),
        ("duration", "10", "'10' is not a duration"),
        ("duration", "10 minutes", "'10 minutes' is not a duration"),
        ("duration", "-3 epochs", "'-3 epochs' is not a duration"),
        ("duration", "never", "above 0"),
        ("duration", "50 %", "'50 %' is no length of training"),
        ("data.name", "", "name a TFDS dataset"),
        ("seed", -1, "allowed is at least 0"),
        ("data.batch_size", 2**31, "2147483648 is out of range"),
        ("duration", "1e400 steps", "is too long"),
        ("schedule.warmup", "120 %", "does not fit config.duration"),
        ("schedule.warmup", "10 epochs", "does not fit config.duration"),
        ("seed", True, "True is a bool; allowed is an int"),
        ("optimizer.weight_decay", 0.1, "no effect with adam"),
        ("optimizer.momentum", 0.9, "no effect with adam"),
        ("schedule.name", "one_cycle", "leaves one_cycle no rise"),
    ],
)
def test_an_impossible_value_fails(field: str, value: Any, message: str) -> None:
    config = default.get_config()
    section, key = section_and_key(config, field)
    with section.ignore_type():
        section[key] = value
    with pytest.raises(UserError) as error:
        validate(config)
    assert message in str(error.value)
    assert str(error.value).startswith("config.")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"checkpoint.keep_best": True, "data.validation_examples": 0}, "checkpoint.keep_best"),
        ({"checkpoint.keep_best": True, "evaluate_every": "never"}, "checkpoint.keep_best"),
        ({"early_stopping.patience": 2, "data.validation_examples": 0}, "early_stopping.patience"),
    ],
)
def test_fields_that_contradict_each_other(change: dict[str, Any], named: str) -> None:
    config = default.get_config()
    config.update_from_flattened_dict(change)
    with pytest.raises(UserError, match=rf"config\.{named}: it needs"):
        validate(config)


def test_an_unknown_section_and_a_value_for_a_section() -> None:
    config = default.get_config()
    config.optimiser = ConfigDict()
    with pytest.raises(UserError, match=r"did you mean 'config\.optimizer'"):
        validate(config)
    config = default.get_config()
    with config.ignore_type():
        config.optimizer = 3
    with pytest.raises(UserError, match="3 is not a section"):
        validate(config)


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


def test_warmup_longer_than_training() -> None:
    config = default.get_config()
    config.duration, config.schedule.warmup = "10 steps", "1 epochs"
    with pytest.raises(UserError, match="10 steps of warm-up do not fit the 10 steps"):
        Steps.of(validate(config), 10 * config.data.batch_size)


def test_flatten_and_nest_are_inverse() -> None:
    settings = validate(default.get_config())
    assert validate(ConfigDict(nest(flatten(settings)))) == settings


# Described together with the field above them.
SHARED_COMMENT = {"    config.optimizer.beta2", "    config.schedule.final_fraction"}


def test_every_field_is_described_in_the_default_config() -> None:
    lines = Path("configs/default.py").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith("config.") and "ConfigDict()" not in line:
            above = lines[number - 1].strip()
            shared = above.startswith("config.") and line.split(" = ")[0] in SHARED_COMMENT
            assert above.startswith("#") or shared, line


@pytest.mark.parametrize("text", ["1234567 steps", "12.3456789 epochs", "1e-05 epochs"])
def test_a_duration_is_written_down_exactly(text: str) -> None:
    assert describe(Duration.parse(text)) == text


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        validate(default.get_config()).seed = 1  # type: ignore[misc]
    assert isinstance(validate(default.get_config()), Settings)
