"""The rules that tie one field of a config to another."""

from collections.abc import Iterator

from seqvision.config.data_rules import data_rules, line_rules
from seqvision.config.durations import LARGEST, describe
from seqvision.config.model_schema import (
    CELLS_WITHOUT_RECURRENT_KERNEL,
    FUSED_CELLS,
    REFINABLE_CELLS,
)
from seqvision.config.schema import Settings
from seqvision.errors import UserError

Rule = tuple[bool, str]
"""Whether it is broken, and the line that tells the user so."""


def check_together(settings: Settings) -> None:
    """Checks all rules.

    Raises:
      UserError: the line of the first one that is broken.
    """
    for rules in (
        _length_rules,
        data_rules,
        line_rules,
        _model_rules,
        _cell_rules,
        _execution_rules,
        _optimizer_rules,
        _validation_rules,
    ):
        for is_broken, line in rules(settings):
            if is_broken:
                raise UserError(line)


def wants_validation(settings: Settings) -> str:
    """The field that needs a validation split, "" where none does."""
    if settings.checkpoint.keep_best:
        return "checkpoint.keep_best"
    return "early_stopping.patience" if settings.early_stopping.patience > 0 else ""


def _length_rules(settings: Settings) -> Iterator[Rule]:
    duration = settings.duration
    yield (
        duration.amount == 0 or duration.unit == "%",
        f"config.duration: '{describe(duration)}' is no length of training; give it in steps,"
        " epochs or examples, above 0",
    )
    yield (
        settings.seeds[-1] > LARGEST,
        f"config.num_seeds: {settings.num_seeds} seeds from {settings.seed} on pass the largest"
        f" one, {LARGEST}; lower config.seed",
    )


def _model_rules(settings: Settings) -> Iterator[Rule]:
    model, step_weight = settings.model, settings.loss.step_weight
    yield (
        model.dropout > 0 and model.num_layers == 1,
        f"config.model.dropout: {model.dropout:g} has no effect between layers with"
        " config.model.num_layers=1; add layers, or use config.model.readout_dropout or"
        " config.model.recurrent_dropout",
    )
    yield (
        model.sequence == "cnn_columns" and not settings.reads_text,
        "config.model.sequence: cnn_columns is for lines of writing (config.data.source of"
        " digit_lines or lines); choose cnn_rows",
    )
    yield (
        model.readout == "per_step" and model.bidirectional and not settings.reads_text,
        "config.model.readout: per_step predicts after every step; a bidirectional network"
        " (config.model.bidirectional) needs the whole sequence first; switch one off",
    )
    has_one_step = "has no effect with config.model.sequence=cnn, which is a single step"
    yield (
        model.sequence == "cnn" and model.readout == "per_step",
        f"config.model.readout: per_step {has_one_step}; choose cnn_rows, or leave it at its"
        " default",
    )
    yield (
        model.sequence == "cnn" and model.gate_init == "chrono",
        f"config.model.gate_init: chrono {has_one_step}; choose cnn_rows, or leave it at its"
        " default",
    )
    yield (
        step_weight > 0 and model.readout != "per_step",
        f"config.loss.step_weight: {step_weight:g} has no effect with"
        f" config.model.readout={model.readout}; choose per_step",
    )


def _cell_rules(settings: Settings) -> Iterator[Rule]:
    model = settings.model
    yield (
        model.gate_init != "constant" and model.forget_bias != 1,
        f"config.model.forget_bias: {model.forget_bias:g} has no effect with"
        f" config.model.gate_init={model.gate_init}; leave it at 1 or choose constant",
    )
    yield (
        model.refine_gates and model.cell not in REFINABLE_CELLS,
        f"config.model.refine_gates: {model.cell} has no gate to refine; choose"
        f" {' or '.join(REFINABLE_CELLS)}, or switch it off",
    )
    yield (
        model.recurrent_init != "orthogonal" and model.cell in CELLS_WITHOUT_RECURRENT_KERNEL,
        f"config.model.recurrent_init: '{model.recurrent_init}' has no effect on {model.cell},"
        " which has no recurrent kernel; leave it at orthogonal",
    )


def _execution_rules(settings: Settings) -> Iterator[Rule]:
    model = settings.model
    cell = f"{model.cell} with refine gates" if model.refine_gates else model.cell
    yield (
        model.execution == "fused" and cell not in FUSED_CELLS,
        f"config.model.execution: fused runs {' and '.join(FUSED_CELLS)} without refine gates, not"
        f" {cell}; choose auto or scan",
    )
    is_cudnn = model.execution == "cudnn"
    yield (
        is_cudnn
        and (cell != "lstm" or model.recurrent_dropout > 0 or model.compute_dtype != "float32"),
        "config.model.execution: cudnn runs lstm without refine gates and recurrent dropout, in"
        " float32 or TF32; choose auto or scan",
    )
    yield (
        is_cudnn and settings.num_seeds > 1,
        "config.model.execution: cudnn runs one network at a time, not the"
        f" {settings.num_seeds} of config.num_seeds; choose auto or scan",
    )


def _optimizer_rules(settings: Settings) -> Iterator[Rule]:
    optimizer, schedule, length = settings.optimizer, settings.schedule, settings.duration
    yield (
        optimizer.weight_decay > 0 and optimizer.name == "adam",
        f"config.optimizer.weight_decay: {optimizer.weight_decay:g} has no effect with adam;"
        " set it to 0 or choose config.optimizer.name=adamw",
    )
    yield (
        optimizer.momentum > 0 and optimizer.name in ("adam", "adamw"),
        f"config.optimizer.momentum: {optimizer.momentum:g} has no effect with"
        f" {optimizer.name}; set it to 0 and use config.optimizer.beta1",
    )
    warmup = schedule.warmup
    yield (
        (warmup.unit == "%" and warmup.amount >= 100)
        or (warmup.unit == length.unit and warmup.amount >= length.amount),
        f"config.schedule.warmup: '{describe(warmup)}' does not fit config.duration,"
        f" '{describe(length)}'; shorten the warm-up or train longer",
    )
    yield (
        schedule.name == "one_cycle" and warmup.amount == 0,
        "config.schedule.warmup: '0 steps' leaves one_cycle no rise; give it a warm-up such as"
        " '30 %' or choose config.schedule.name=cosine",
    )


def _validation_rules(settings: Settings) -> Iterator[Rule]:
    field = wants_validation(settings)
    if not field:
        return
    sizes = {
        "tfds": ("data.validation_examples", settings.data.validation_examples),
        "moving_digits": ("clips.validation_clips", settings.clips.validation_clips),
        "digit_lines": ("lines.validation_lines", settings.lines.validation_lines),
    }
    # Own data may have a validation split of its own.
    size_field, size = sizes.get(settings.data.source, ("", 1))
    yield (
        size == 0,
        f"config.{field}: it needs a validation split, but config.{size_field} is 0; hold out some"
        " examples or switch it off",
    )
    yield (
        settings.evaluate_every.amount == 0,
        f"config.{field}: it needs evaluations, but config.evaluate_every is 'never'; set it to a"
        " duration such as '1 epochs' or switch it off",
    )
