"""The rules that tie one field of a config to another."""

from seqvision.config.durations import LARGEST, describe
from seqvision.config.schema import Settings
from seqvision.errors import UserError


def check_together(settings: Settings) -> None:
    """The rules that tie one field to another."""
    optimizer, schedule = settings.optimizer, settings.schedule
    if settings.duration.amount == 0 or settings.duration.unit == "%":
        raise UserError(
            f"config.duration: '{describe(settings.duration)}' is no length of training;"
            " give it in steps, epochs or examples, above 0"
        )
    if settings.seeds[-1] > LARGEST:
        raise UserError(
            f"config.num_seeds: {settings.num_seeds} seeds from {settings.seed} on pass the largest"
            f" one, {LARGEST}; lower config.seed"
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
        case "digit_lines":
            return settings.lines.validation_lines, "lines.validation_lines"
    return 1, ""


def _check_data(settings: Settings) -> None:
    data, clips = settings.data, settings.clips
    if data.source in ("npz", "folders", "lines"):
        if not data.path:
            what = {
                "npz": "an .npz file",
                "folders": "a folder of class folders",
                "lines": "a folder that holds `images` and `labels.tsv`",
            }[data.source]
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
                f"{data.source}; choose npz, folders or lines"
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
    if settings.reads_text:
        _check_reading(settings)
    elif (data.height == 0) != (data.width == 0):
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


def _check_reading(settings: Settings) -> None:
    data, lines, model = settings.data, settings.lines, settings.model
    made = data.source == "digit_lines"
    if data.width or data.channels or (made and data.height):
        raise UserError(
            "config.data.height, width, channels: lines are grey, as wide as they are, and made"
            " lines 32 rows high; leave them at 0 (config.data.height scales your own lines)"
        )
    if lines.min_symbols > lines.max_symbols:
        raise UserError(
            f"config.lines.min_symbols: {lines.min_symbols} is more than config.lines.max_symbols,"
            f" {lines.max_symbols}; lower it"
        )
    if made and lines.validation_lines > 0 and data.validation_examples == 0:
        raise UserError(
            f"config.lines.validation_lines: {lines.validation_lines} lines need digits, but"
            " config.data.validation_examples is 0; hold out some, or make no such lines"
        )
    if made and settings.reading.alphabet:
        raise UserError(
            f"config.reading.alphabet: '{settings.reading.alphabet}' has no effect on made lines,"
            " which are of digits and spaces; leave it empty"
        )
    if model.sequence not in ("columns", "cnn_columns"):
        raise UserError(
            f"config.model.sequence: '{model.sequence}' does not read lines of writing"
            f" (config.data.source={data.source}); choose columns or cnn_columns"
        )
    if model.readout != "per_step":
        raise UserError(
            f"config.model.readout: '{model.readout}' says one thing, and lines are read symbol by"
            " symbol; choose per_step"
        )
    unused = {
        "augment.max_shift": settings.augment.max_shift,
        "augment.max_rotation": settings.augment.max_rotation,
        "loss.label_smoothing": settings.loss.label_smoothing,
        "loss.step_weight": settings.loss.step_weight,
    }
    for name, value in unused.items():
        if value:
            raise UserError(
                f"config.{name}: {value:g} has no effect on lines of writing; set it to 0"
            )


def _check_model(settings: Settings) -> None:
    model = settings.model
    if model.dropout > 0 and model.num_layers == 1:
        raise UserError(
            f"config.model.dropout: {model.dropout:g} has no effect between layers with"
            " config.model.num_layers=1; add layers, or use config.model.readout_dropout or"
            " config.model.recurrent_dropout"
        )
    if model.sequence == "cnn_columns" and not settings.reads_text:
        raise UserError(
            "config.model.sequence: cnn_columns is for lines of writing (config.data.source of"
            " digit_lines or lines); choose cnn_rows"
        )
    if model.readout == "per_step" and model.bidirectional and not settings.reads_text:
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
    cell = f"{model.cell} with refine gates" if model.refine_gates else model.cell
    if model.execution == "fused" and cell not in ("lstm", "gru"):
        raise UserError(
            f"config.model.execution: fused runs lstm and gru without refine gates, not {cell};"
            " choose auto or scan"
        )
    if model.execution == "cudnn" and (
        cell != "lstm" or model.recurrent_dropout > 0 or model.compute_dtype != "float32"
    ):
        raise UserError(
            "config.model.execution: cudnn runs lstm without refine gates and recurrent dropout, in"
            " float32 or TF32; choose auto or scan"
        )
    if model.execution == "cudnn" and settings.num_seeds > 1:
        raise UserError(
            f"config.model.execution: cudnn runs one network at a time, not the"
            f" {settings.num_seeds} of config.num_seeds; choose auto or scan"
        )
    if settings.loss.step_weight > 0 and model.readout != "per_step":
        raise UserError(
            f"config.loss.step_weight: {settings.loss.step_weight:g} has no effect with"
            f" config.model.readout={model.readout}; choose per_step"
        )
