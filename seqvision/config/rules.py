"""The rules that tie one field of a config to another."""

import re
from collections.abc import Iterator

from seqvision.config.data_rules import data_rules, line_rules
from seqvision.config.data_schema import MADE_SOURCES, TARGETS, TRACKING_TASKS
from seqvision.config.durations import LARGEST, describe
from seqvision.config.model_schema import (
    CELLS_WITHOUT_RECURRENT_KERNEL,
    FUSED_CELLS,
    IMAGE_CNN_SEQUENCES,
    PERSISTENT_HIDDEN_SIZE,
    REFINABLE_CELLS,
)
from seqvision.config.schema import Settings
from seqvision.errors import UserError


def check_together(settings: Settings) -> None:
    """Checks all rules. Each yields a message, which may be wrapped anywhere, where it is broken.

    Raises:
      UserError: the first of these messages, as one line.
    """
    for rules in (
        _training_rules,
        data_rules,
        line_rules,
        _model_rules,
        _cnn_rules,
        _backbone_rules,
        _cell_rules,
        _target_rules,
        _validation_rules,
    ):
        for message in rules(settings):
            raise UserError(re.sub(r"\s*\n\s*", " ", message))


def wants_validation(settings: Settings) -> str:
    """The field that needs a validation split, "" where none does."""
    if settings.checkpoint.keep_best:
        return "checkpoint.keep_best"
    return "early_stopping.patience" if settings.early_stopping.patience > 0 else ""


def _model_rules(settings: Settings) -> Iterator[str]:
    model, step_weight = settings.model, settings.loss.step_weight
    if model.dropout > 0 and model.num_layers == 1:
        yield f"""config.model.dropout: {model.dropout:g} has no effect between layers with
            config.model.num_layers=1; add layers, or use config.model.readout_dropout or
            config.model.recurrent_dropout"""
    if model.sequence == "cnn_columns" and not settings.reads_text:
        yield """config.model.sequence: cnn_columns is for lines of writing (config.data.source of
            digit_lines or lines); choose cnn_rows"""
    whole_first = model.bidirectional and not settings.asks_for_steps
    if model.readout == "per_step" and whole_first and not settings.reads_text:
        yield """config.model.readout: per_step predicts after every step; a bidirectional network
            (config.model.bidirectional) needs the whole sequence first; switch one off (or, for a
            class for every frame, set config.data.target=steps)"""
    for name, value in (("readout", "per_step"), ("gate_init", "chrono")):
        if model.sequence == "cnn" and getattr(model, name) == value:
            yield f"""config.model.{name}: {value} has no effect with config.model.sequence=cnn,
                which is a single step; choose cnn_rows, or leave it at its default"""
    if step_weight > 0 and model.readout != "per_step":
        yield f"""config.loss.step_weight: {step_weight:g} has no effect with
            config.model.readout={model.readout}; choose per_step"""


def _cnn_rules(settings: Settings) -> Iterator[str]:
    model, clips = settings.model, settings.clips
    if model.cnn_padding != "same" and model.sequence == "cnn_columns":
        yield f"""config.model.cnn_padding: {model.cnn_padding} would leave the first columns of a
            line without a step, and cnn_columns reads one for each column; leave it at same"""
    if model.cnn_padding != "same" and model.sequence not in IMAGE_CNN_SEQUENCES:
        yield f"""config.model.cnn_padding: {model.cnn_padding} has no effect with
            config.model.sequence={model.sequence}; leave it at same, or choose
            one of {", ".join(IMAGE_CNN_SEQUENCES)}"""
    if not model.cnn_per_frame:
        return
    if model.sequence != "frames":
        yield f"""config.model.cnn_per_frame: it has no effect with
            config.model.sequence={model.sequence}; switch it off, or choose frames"""
    shortest, longest = clips.length_range
    needed = settings.data.window or longest
    if settings.data.source == "moving_digits" and shortest < needed:
        fields, all_of = "config.clips.min_frames to 0", "config.clips.num_frames"
        if clips.task == "shell":
            fields = "config.clips.train_swaps and train_min_swaps to 0"
            all_of = "the frames of a clip"
        yield f"""config.model.cnn_per_frame: it needs {needed} frames of each clip, and
            config.clips makes some of {shortest}; set {fields} and
            config.data.window to at most {all_of}, or switch it off"""


def _backbone_rules(settings: Settings) -> Iterator[str]:
    model, augment = settings.model, settings.augment
    if (model.sequence == "features") != (settings.data.source == "features"):
        yield f"""config.model.sequence: '{model.sequence}' with
            config.data.source={settings.data.source}; choose features for both, or for neither"""
    for section, name in (("augment", "max_shift"), ("augment", "max_rotation")):
        value = getattr(augment, name)
        if value > 0 and model.sequence == "features":
            yield f"config.{section}.{name}: {value:g} has no effect on features; set it to 0"
        if value > 0 and model.computes_features_once:
            yield f"""config.{section}.{name}: {value:g} has no effect with a frozen backbone, whose
                features are computed once; set it to 0, or let the backbone learn
                (config.model.backbone_trainable)"""
    if model.backbone == "none":
        for name, default in (("backbone_weights", ""), ("backbone_trainable", "none")):
            value = getattr(model, name)
            if value != default:
                yield f"""config.model.{name}: '{value}' has no effect without
                    config.model.backbone; leave it at '{default}', or choose a backbone"""
        return
    if model.sequence != "frames":
        yield f"""config.model.backbone: {model.backbone} has no effect with
            config.model.sequence={model.sequence}; choose frames, or none"""
    if not model.backbone_weights:
        yield f"""config.model.backbone_weights: it is empty; name a file of the weights of
            {model.backbone}, a .safetensors or .pth of torchvision or timm"""
    for name, is_set in (
        ("cnn_padding", model.cnn_padding != "same"),
        ("cnn_per_frame", model.cnn_per_frame),
    ):
        if is_set:
            yield f"""config.model.{name}: {getattr(model, name)} has no effect with
                config.model.backbone={model.backbone}; leave it at its default"""


def _cell_rules(settings: Settings) -> Iterator[str]:
    model = settings.model
    if model.gate_init != "constant" and model.forget_bias != 1:
        yield f"""config.model.forget_bias: {model.forget_bias:g} has no effect with
            config.model.gate_init={model.gate_init}; leave it at 1 or choose constant"""
    if model.refine_gates and model.cell not in REFINABLE_CELLS:
        yield f"""config.model.refine_gates: {model.cell} has no gate to refine; choose
            {" or ".join(REFINABLE_CELLS)}, or switch it off"""
    if model.recurrent_init != "orthogonal" and model.cell in CELLS_WITHOUT_RECURRENT_KERNEL:
        yield f"""config.model.recurrent_init: '{model.recurrent_init}' has no effect on
            {model.cell}, which has no recurrent kernel; leave it at orthogonal"""
    cell = f"{model.cell} with refine gates" if model.refine_gates else model.cell
    if model.execution == "fused" and cell not in FUSED_CELLS:
        yield f"""config.model.execution: fused runs {" and ".join(FUSED_CELLS)} without refine
            gates, not {cell}; choose auto or scan"""
    if model.execution == "native" and cell != "lstm":
        yield f"""config.model.execution: native runs lstm without refine gates, not {cell}; choose
            auto or scan"""
    if model.execution == "persistent" and (
        cell != "lstm" or model.hidden_size > PERSISTENT_HIDDEN_SIZE
    ):
        yield f"""config.model.execution: persistent runs lstm without refine gates, of at most
            {PERSISTENT_HIDDEN_SIZE} units, not {cell} of {model.hidden_size}; choose auto or
            scan"""
    if model.execution != "cudnn":
        return
    if cell != "lstm" or model.recurrent_dropout > 0 or model.compute_dtype != "float32":
        yield """config.model.execution: cudnn runs lstm without refine gates and recurrent
            dropout, in float32 or TF32; choose auto or scan"""
    if settings.num_seeds > 1:
        yield f"""config.model.execution: cudnn runs one network at a time, not the
            {settings.num_seeds} of config.num_seeds; choose auto or scan"""


def _target_rules(settings: Settings) -> Iterator[str]:
    data, loss, metric = settings.data, settings.loss, settings.checkpoint.best_metric
    allowed = ("auto", *TARGETS.get(data.source, ()))
    clip_task = settings.clips.task
    if data.source == "moving_digits" and clip_task not in TRACKING_TASKS:
        if data.target != "auto":
            yield f"""config.data.target: '{data.target}' has no effect on the task {clip_task} of
                config.clips, which has its own; leave it at auto"""
    elif data.target not in allowed:
        yield f"""config.data.target: '{data.target}' is no target of
            config.data.source={data.source}; choose {" or ".join(allowed)}"""
    balanced = {
        "data.balanced_draws": data.balanced_draws,
        "loss.class_weights": loss.class_weights != "none",
    }
    for field, is_set in balanced.items():
        if is_set and data.source in (*MADE_SOURCES, "lines"):
            yield f"""config.{field}: it has no effect with config.data.source={data.source}, which
                has as many examples of each class, or none; leave it out"""
    if all(balanced.values()):
        yield """config.loss.class_weights: balanced with config.data.balanced_draws would count
            rare classes twice; choose one of them"""
    if settings.reads_text and metric != "auto":
        yield f"""config.checkpoint.best_metric: '{metric}' is no metric of texts; leave it at auto
            (the character error rate)"""


def _training_rules(settings: Settings) -> Iterator[str]:
    optimizer, schedule, length = settings.optimizer, settings.schedule, settings.duration
    if length.amount == 0 or length.unit == "%":
        yield f"""config.duration: '{describe(length)}' is no length of training; give it in steps,
            epochs or examples, above 0"""
    if settings.seeds[-1] > LARGEST:
        yield f"""config.num_seeds: {settings.num_seeds} seeds from {settings.seed} on pass the
            largest one, {LARGEST}; lower config.seed"""
    if optimizer.weight_decay > 0 and optimizer.name == "adam":
        yield f"""config.optimizer.weight_decay: {optimizer.weight_decay:g} has no effect with adam;
            set it to 0 or choose config.optimizer.name=adamw"""
    if optimizer.momentum > 0 and optimizer.name in ("adam", "adamw"):
        yield f"""config.optimizer.momentum: {optimizer.momentum:g} has no effect with
            {optimizer.name}; set it to 0 and use config.optimizer.beta1"""
    warmup = schedule.warmup
    too_long = 100 if warmup.unit == "%" else length.amount
    if warmup.unit in ("%", length.unit) and warmup.amount >= too_long:
        yield f"""config.schedule.warmup: '{describe(warmup)}' does not fit config.duration,
            '{describe(length)}'; shorten the warm-up or train longer"""
    if schedule.name == "one_cycle" and warmup.amount == 0:
        yield """config.schedule.warmup: '0 steps' leaves one_cycle no rise; give it a warm-up such
            as '30 %' or choose config.schedule.name=cosine"""


def _validation_rules(settings: Settings) -> Iterator[str]:
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
    if size == 0:
        yield f"""config.{field}: it needs a validation split, but config.{size_field} is 0; hold
            out some examples or switch it off"""
    if settings.evaluate_every.amount == 0:
        yield f"""config.{field}: it needs evaluations, but config.evaluate_every is 'never'; set it
            to a duration such as '1 epochs' or switch it off"""
