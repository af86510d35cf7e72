"""A ConfigDict from `configs/` becomes typed, validated settings.

No jax import here: a bad config ends in well under a second, before anything is written.
"""

import dataclasses
import math
import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from ml_collections import ConfigDict

from seqvision.errors import UserError, did_you_mean

# --- durations ---------------------------------------------------------------

# Steps and examples are counted in 32-bit integers.
LARGEST = 2**31 - 1

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(steps?|epochs?|examples?|%)\s*")


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of training, such as `12 epochs`; `%` is a share of the whole training."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Reads `500 steps`, `1.5 epochs`, `60000 examples`, `30 %` or `never` (0 steps).

        Raises:
          ValueError: `text` is none of these.
        """
        if text.strip() == "never":
            return cls(0.0, "steps")
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(
                f"'{text}' is not a duration; write a number and a unit (steps, epochs, examples; %"
                " of the training for a warm-up), such as '500 steps'"
            )
        amount, unit = float(match[1]), match[2]
        if amount > LARGEST:
            raise ValueError(f"'{text}' is too long; allowed is at most {LARGEST}")
        return cls(amount, unit if unit == "%" else unit.rstrip("s") + "s")

    def steps(self, batch_size: int, num_examples: int, total_steps: int | None = None) -> int:
        """Optimizer steps in this duration, rounded to the nearest; at least 1 unless it is 0.

        Args:
          batch_size: examples in one step.
          num_examples: examples in one epoch.
          total_steps: steps of the whole training; needed for `%` only.
        """
        if self.unit == "steps":
            exact = self.amount
        elif self.unit == "epochs":
            exact = self.amount * num_examples / batch_size
        elif self.unit == "examples":
            exact = self.amount / batch_size
        else:
            assert total_steps is not None
            exact = self.amount / 100 * total_steps
        return max(1, math.floor(exact + 0.5)) if self.amount > 0 else 0


# --- what a field may hold ---------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both allowed unless `above`/`below` says otherwise."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def allows(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and abs(value) < math.inf

    def __str__(self) -> str:
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'above' if self.above else 'at least'} {self.low}")
        if self.high < math.inf:
            parts.append(f"{'below' if self.below else 'at most'} {self.high}")
        return " and ".join(parts) or "a finite number"


@dataclasses.dataclass(frozen=True)
class OneOf:
    names: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class AllIn:
    """A tuple, not empty, of whole numbers in `range`."""

    range: Range


Size = Annotated[int, Range(low=1, high=LARGEST)]
Number = Annotated[int, Range(low=0, high=LARGEST)]
LARGEST_SIDE = 65535
# Made clips count places in 32-bit integers.
LARGEST_CLIP_SIDE = 1024
Pixels = Annotated[int, Range(low=0, high=LARGEST_SIDE)]
Sizes = Annotated[tuple, AllIn(Range(low=1, high=LARGEST))]
# Floats become float32 on the device.
Finite = Annotated[float, Range(low=-1e38, high=1e38)]
NonNegative = Annotated[float, Range(low=0, high=1e38)]
Positive = Annotated[float, Range(low=0, high=1e38, above=True)]
Fraction = Annotated[float, Range(low=0, high=1, below=True)]

# The networks' names, here too so that a config is checked without jax; a test compares them.
SEQUENCES = (
    "rows",
    "columns",
    "pixels",
    "permuted_pixels",
    "patches",
    "cnn",
    "cnn_rows",
    "frames",
)
CELLS = ("lstm", "gru", "layer_norm_lstm", "janet", "min_lstm", "min_gru")

# --- the fields: types and bounds here, defaults and meanings in configs/default.py ----


@dataclasses.dataclass(frozen=True)
class Data:
    source: Annotated[str, OneOf(("tfds", "npz", "folders", "moving_digits"))]
    name: str
    dir: str
    cache_dir: str
    path: str
    kind: Annotated[str, OneOf(("auto", "images", "clips"))]
    broken_files: Annotated[str, OneOf(("fail", "skip"))]
    height: Pixels
    width: Pixels
    channels: Annotated[int, OneOf((0, 1, 3))]
    batch_size: Size
    eval_batch_size: Size
    validation_examples: Number
    validation_fraction: Fraction
    test_fraction: Fraction
    window: Number
    window_stride: Number


@dataclasses.dataclass(frozen=True)
class Clips:
    task: Annotated[str, OneOf(("motion", "digit"))]
    num_frames: Size
    min_frames: Number
    height: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    width: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    channels: Annotated[int, OneOf((1, 3))]
    digit_size: Annotated[int, Range(low=1, high=LARGEST_CLIP_SIDE)]
    speed: Annotated[float, Range(low=0, high=LARGEST_CLIP_SIDE)]
    turn: Annotated[float, Range(low=0, high=180)]
    noise: Annotated[float, Range(low=0, high=10)]
    occlusion: Annotated[float, Range(low=0, high=1)]
    train_clips: Size
    validation_clips: Number
    test_clips: Number


@dataclasses.dataclass(frozen=True)
class Augment:
    max_shift: NonNegative
    max_rotation: Annotated[float, Range(low=0, high=180)]


@dataclasses.dataclass(frozen=True)
class Model:
    sequence: Annotated[str, OneOf(SEQUENCES)]
    patch_size: Annotated[int, Range(low=1, high=LARGEST_SIDE)]
    cnn_channels: Sizes
    cell: Annotated[str, OneOf(CELLS)]
    hidden_size: Size
    num_layers: Annotated[int, Range(low=1, high=1000)]
    bidirectional: bool
    readout: Annotated[str, OneOf(("last", "mean", "max", "attention", "per_step"))]
    dropout: Fraction
    recurrent_dropout: Fraction
    readout_dropout: Fraction
    forget_bias: Finite
    gate_init: Annotated[str, OneOf(("constant", "chrono", "uniform"))]
    refine_gates: bool
    recurrent_init: Annotated[str, OneOf(("orthogonal", "identity"))]
    compute_dtype: Annotated[str, OneOf(("float32", "bfloat16"))]


@dataclasses.dataclass(frozen=True)
class Loss:
    label_smoothing: Fraction
    step_weight: Annotated[float, Range(low=0, high=1)]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    name: Annotated[str, OneOf(("adam", "adamw", "sgd", "rmsprop"))]
    learning_rate: Positive
    beta1: Fraction
    beta2: Fraction
    epsilon: Positive
    momentum: Fraction
    decay: Fraction
    weight_decay: NonNegative
    clip_norm: NonNegative


@dataclasses.dataclass(frozen=True)
class Schedule:
    name: Annotated[str, OneOf(("constant", "cosine", "one_cycle"))]
    warmup: Duration
    start_fraction: Annotated[float, Range(low=0, high=1, above=True)]
    final_fraction: Annotated[float, Range(low=0, high=1)]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    every: Duration
    keep: Size
    keep_best: bool


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    patience: Number


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every field of a config, typed and checked. Durations become steps in `Steps`."""

    seed: Number
    init_from: str
    duration: Duration
    log_every: Duration
    evaluate_every: Duration
    ema_decay: Fraction
    data: Data
    clips: Clips
    augment: Augment
    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    checkpoint: Checkpoint
    early_stopping: EarlyStopping


@dataclasses.dataclass(frozen=True)
class Steps:
    """The durations of `Settings` in optimizer steps, for one training set."""

    total: int
    warmup: int
    log_every: int
    evaluate_every: int
    checkpoint_every: int

    @classmethod
    def of(cls, settings: Settings, num_examples: int) -> "Steps":
        batch_size = settings.data.batch_size
        total = settings.duration.steps(batch_size, num_examples)
        if total > LARGEST:
            raise UserError(
                f"config.duration: {total} steps are too many; allowed are at most {LARGEST}"
            )

        def steps(duration: Duration) -> int:
            return duration.steps(batch_size, num_examples, total)

        warmup = steps(settings.schedule.warmup)
        if warmup >= total:
            raise UserError(
                f"config.schedule.warmup: {warmup} steps of warm-up do not fit the {total} steps"
                " of config.duration; shorten the warm-up or train longer"
            )
        return cls(
            total=total,
            warmup=warmup,
            log_every=steps(settings.log_every),
            evaluate_every=steps(settings.evaluate_every),
            checkpoint_every=steps(settings.checkpoint.every),
        )


# --- validation --------------------------------------------------------------


def validate(config: ConfigDict) -> Settings:
    """Checks every key, type and bound, then the rules between fields.

    Raises:
      UserError: one line with the key, the value, what is allowed and the nearest right name.
    """
    settings = _section(Settings, config, "config")
    _check_together(settings)
    return settings


def _section(cls: Any, values: Any, path: str) -> Any:
    if not isinstance(values, Mapping | ConfigDict):
        raise UserError(
            f"{path}: {values!r} is not a section; it holds {', '.join(field_names(cls))}"
        )
    hints = typing.get_type_hints(cls, include_extras=True)
    for key in values:
        if key not in hints:
            raise UserError(unknown_key(f"{path}.{key}", list(hints)))
    for key in hints:
        if key not in values:
            raise UserError(f"{path}.{key}: missing; take it from configs/default.py")
    return cls(**{key: _value(hint, values[key], f"{path}.{key}") for key, hint in hints.items()})


def _value(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and hint is not Duration:
        return _section(hint, value, path)
    rule = None
    if typing.get_origin(hint) is Annotated:
        hint, rule = typing.get_args(hint)
    if hint is Duration:
        if not isinstance(value, str):
            raise UserError(f"{path}: {value!r} has no unit; write for example '{value} steps'")
        try:
            return Duration.parse(value)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    if hint is float and type(value) is int:
        value = float(value)
    if hint is tuple and isinstance(value, list):
        value = tuple(value)  # As JSON writes it.
    if type(value) is not hint:
        raise UserError(f"{path}: {value!r} is {a_type(type(value))}; allowed is {a_type(hint)}")
    if isinstance(rule, OneOf) and value not in rule.names:
        hint = did_you_mean(value, rule.names) if isinstance(value, str) else ""
        raise UserError(
            f"{path}: '{value}' is not known; choose one of {', '.join(map(str, rule.names))}{hint}"
        )
    if isinstance(rule, AllIn) and not (
        value and all(type(v) is int and rule.range.allows(v) for v in value)
    ):
        raise UserError(
            f"{path}: {value!r} is out of range; allowed are one or more ints, each {rule.range},"
            " such as (32, 64)"
        )
    if isinstance(rule, Range) and not rule.allows(value):
        raise UserError(f"{path}: {value!r} is out of range; allowed is {rule}")
    return value


def _check_together(settings: Settings) -> None:
    """The rules that tie one field to another."""
    optimizer, schedule = settings.optimizer, settings.schedule
    if settings.duration.amount == 0 or settings.duration.unit == "%":
        raise UserError(
            f"config.duration: '{describe(settings.duration)}' is no length of training;"
            " give it in steps, epochs or examples, above 0"
        )
    _check_data(settings)
    _check_model(settings)
    if optimizer.weight_decay > 0 and optimizer.name == "adam":
        raise UserError(
            f"config.optimizer.weight_decay: {optimizer.weight_decay:g} has no effect with adam;"
            " set it to 0 or choose config.optimizer.name=adamw"
        )
    if optimizer.momentum > 0 and optimizer.name in ("adam", "adamw"):
        raise UserError(
            f"config.optimizer.momentum: {optimizer.momentum:g} has no effect with"
            f" {optimizer.name}; set it to 0 and use config.optimizer.beta1"
        )
    warmup = schedule.warmup
    too_long = warmup.unit == "%" and warmup.amount >= 100
    if too_long or (
        warmup.unit == settings.duration.unit and warmup.amount >= settings.duration.amount
    ):
        raise UserError(
            f"config.schedule.warmup: '{describe(warmup)}' does not fit config.duration,"
            f" '{describe(settings.duration)}'; shorten the warm-up or train longer"
        )
    if schedule.name == "one_cycle" and schedule.warmup.amount == 0:
        raise UserError(
            "config.schedule.warmup: '0 steps' leaves one_cycle no rise; give it a warm-up such"
            " as '30 %' or choose config.schedule.name=cosine"
        )
    wanting = wants_validation(settings)
    if wanting:
        found, field = _validation_field(settings)
        if found == 0:
            raise UserError(
                f"config.{wanting}: it needs a validation split, but config.{field}"
                " is 0; hold out some examples or switch it off"
            )
        if settings.evaluate_every.amount == 0:
            raise UserError(
                f"config.{wanting}: it needs evaluations, but config.evaluate_every is 'never';"
                " set it to a duration such as '1 epochs' or switch it off"
            )


def wants_validation(settings: Settings) -> str:
    """The field that needs a validation split, "" where none does."""
    if settings.checkpoint.keep_best:
        return "checkpoint.keep_best"
    return "early_stopping.patience" if settings.early_stopping.patience > 0 else ""


def _validation_field(settings: Settings) -> tuple[float, str]:
    """What decides whether there is a validation split; own data may bring one along."""
    match settings.data.source:
        case "tfds":
            return settings.data.validation_examples, "data.validation_examples"
        case "moving_digits":
            return settings.clips.validation_clips, "clips.validation_clips"
    return 1, ""


def _check_data(settings: Settings) -> None:
    data, clips = settings.data, settings.clips
    if data.source in ("npz", "folders"):
        if not data.path:
            what = "an .npz file" if data.source == "npz" else "a folder of class folders"
            raise UserError(f"config.data.path: it is empty; name {what}")
        if data.validation_fraction + data.test_fraction >= 1:
            raise UserError(
                f"config.data.test_fraction: with config.data.validation_fraction it is"
                f" {data.validation_fraction + data.test_fraction:g}, which leaves nothing to train"
                " on; lower one of them"
            )
    else:
        if not data.name:
            raise UserError("config.data.name: it is empty; name a TFDS dataset, such as 'mnist'")
        if data.path:
            raise UserError(
                f"config.data.path: '{data.path}' has no effect with config.data.source="
                f"{data.source}; choose npz or folders"
            )
    if data.kind != "auto" and data.source != "npz":
        raise UserError(
            f"config.data.kind: '{data.kind}' has no effect with config.data.source={data.source};"
            " leave it at auto"
        )
    if data.broken_files != "fail" and data.source != "folders":
        raise UserError(
            f"config.data.broken_files: '{data.broken_files}' has no effect with"
            f" config.data.source={data.source}; leave it at fail"
        )
    if data.source == "moving_digits":
        if (data.height, data.width, data.channels) != (0, 0, 0):
            raise UserError(
                "config.data.height, width, channels: they have no effect on made clips; set"
                " config.clips.height, width and channels"
            )
        if clips.validation_clips > 0 and data.validation_examples == 0:
            raise UserError(
                f"config.clips.validation_clips: {clips.validation_clips} clips need digits, but"
                " config.data.validation_examples is 0; hold out some, or make no such clips"
            )
        if clips.turn > 0 and clips.task == "digit":
            raise UserError(
                f"config.clips.turn: {clips.turn:g} has no effect on the task digit, whose digits"
                " stand upright; set it to 0 or choose config.clips.task=motion"
            )
        if clips.min_frames > clips.num_frames:
            raise UserError(
                f"config.clips.min_frames: {clips.min_frames} is more than config.clips.num_frames,"
                f" {clips.num_frames}; lower it, or 0 for clips of one length"
            )
        if clips.digit_size > min(clips.height, clips.width):
            raise UserError(
                f"config.clips.digit_size: {clips.digit_size} pixels do not fit a frame of"
                f" {clips.height}x{clips.width}; lower it, or enlarge the frame"
            )
    if (data.height == 0) != (data.width == 0):
        raise UserError(
            f"config.data.height: {data.height} with config.data.width={data.width}; give both, or"
            " 0 for both to keep the size that the data has"
        )
    if data.window_stride > 0 and data.window == 0:
        raise UserError(
            f"config.data.window_stride: {data.window_stride} has no effect without"
            " config.data.window; give the frames of a window"
        )
    if data.window > 0 and settings.model.sequence != "frames":
        raise UserError(
            f"config.data.window: {data.window} has no effect with"
            f" config.model.sequence={settings.model.sequence}; windows are cut from clips (frames)"
        )
    if data.source == "moving_digits" and settings.model.sequence != "frames":
        raise UserError(
            f"config.model.sequence: '{settings.model.sequence}' reads images, but"
            " config.data.source=moving_digits makes clips; choose frames"
        )


def _check_model(settings: Settings) -> None:
    model = settings.model
    if model.dropout > 0 and model.num_layers == 1:
        raise UserError(
            f"config.model.dropout: {model.dropout:g} has no effect between layers with"
            " config.model.num_layers=1; add layers, or use config.model.readout_dropout or"
            " config.model.recurrent_dropout"
        )
    if model.readout == "per_step" and model.bidirectional:
        raise UserError(
            "config.model.readout: per_step speaks while it reads, but with"
            " config.model.bidirectional the network has seen the end; switch one of them off"
        )
    if model.sequence == "cnn" and (model.readout == "per_step" or model.gate_init == "chrono"):
        name, value = ("readout", "per_step")
        if model.readout != "per_step":
            name, value = ("gate_init", "chrono")
        raise UserError(
            f"config.model.{name}: {value} has no effect with config.model.sequence=cnn, which is a"
            " single step; choose cnn_rows, or leave it at its default"
        )
    if model.gate_init != "constant" and model.forget_bias != 1:
        raise UserError(
            f"config.model.forget_bias: {model.forget_bias:g} has no effect with"
            f" config.model.gate_init={model.gate_init}; leave it at 1 or choose constant"
        )
    if model.refine_gates and model.cell not in ("lstm", "gru"):
        raise UserError(
            f"config.model.refine_gates: {model.cell} has no gate to refine; choose lstm or gru, or"
            " switch it off"
        )
    if model.recurrent_init != "orthogonal" and model.cell.startswith("min_"):
        raise UserError(
            f"config.model.recurrent_init: '{model.recurrent_init}' has no effect on {model.cell},"
            " which has no recurrent kernel; leave it at orthogonal"
        )
    if settings.loss.step_weight > 0 and model.readout != "per_step":
        raise UserError(
            f"config.loss.step_weight: {settings.loss.step_weight:g} has no effect with"
            f" config.model.readout={model.readout}; choose per_step"
        )


# --- settings as plain values ------------------------------------------------


def describe(duration: Duration) -> str:
    amount = int(duration.amount) if duration.amount.is_integer() else duration.amount
    return f"{amount} {duration.unit}"


def flatten(settings: Any, path: str = "") -> dict[str, Any]:
    """Settings as `{"data.batch_size": 256, ...}`, durations as text."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value, key = getattr(settings, field.name), f"{path}{field.name}"
        if isinstance(value, Duration):
            flat[key] = describe(value)
        elif dataclasses.is_dataclass(value):
            flat.update(flatten(value, f"{key}."))
        else:
            flat[key] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`, as nested dicts."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, name = key.split(".")
        section = nested
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return nested


# --- wording -----------------------------------------------------------------


def field_names(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def a_type(kind: type) -> str:
    return f"an {kind.__name__}" if kind is int else f"a {kind.__name__}"


def unknown_key(path: str, allowed: list[str]) -> str:
    section, _, name = path.rpartition(".")
    others = f"; {section} holds {', '.join(sorted(allowed))}"
    return f"{path}: no such field{did_you_mean(name, allowed, f'{section}.') or others}"
