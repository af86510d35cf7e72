"""The rules that tie the fields of the examples to each other and to the network."""

import re
from collections.abc import Iterator

from seqvision.config.data_schema import (
    DECODING_FIELDS,
    KIND_SOURCES,
    PATHS,
    PRIORS,
    RANGE_SOURCES,
    Reading,
)
from seqvision.config.model_schema import LINE_SEQUENCES
from seqvision.config.schema import Settings
from seqvision.config.value_ranges import ALLOWED, parse_ranges


def data_rules(settings: Settings) -> Iterator[str]:
    """Rules of `config.data` and `config.clips`; see `rules.check_together`."""
    yield from _source_rules(settings)
    if settings.data.source == "moving_digits":
        yield from _clip_rules(settings)
    yield from _size_rules(settings)


def _source_rules(settings: Settings) -> Iterator[str]:
    data = settings.data
    no_effect = f"has no effect with config.data.source={data.source}"
    if data.source in PATHS:
        if not data.path:
            yield f"config.data.path: it is empty; name {PATHS[data.source]}"
        held_out = data.validation_fraction + data.test_fraction
        if held_out >= 1:
            yield f"""config.data.test_fraction: with config.data.validation_fraction it is
                {held_out:g}, which leaves nothing to train on; lower one of them"""
    else:
        if not data.name:
            yield "config.data.name: it is empty; name a TFDS dataset, such as 'mnist'"
        if data.path:
            yield f"config.data.path: '{data.path}' {no_effect}; choose one of {', '.join(PATHS)}"
    if data.kind != "auto" and data.source not in KIND_SOURCES:
        yield f"config.data.kind: '{data.kind}' {no_effect}; leave it at auto"
    if data.paper != "auto" and data.source != "folders":
        yield f"config.data.paper: '{data.paper}' {no_effect}; leave it at auto"
    if data.broken_files != "fail" and data.source != "folders":
        yield f"config.data.broken_files: '{data.broken_files}' {no_effect}; leave it at fail"
    yield from _value_rules(settings, no_effect)


def _value_rules(settings: Settings, no_effect: str) -> Iterator[str]:
    data = settings.data
    if data.value_range != "auto" and data.source not in RANGE_SOURCES:
        yield f"config.data.value_range: '{data.value_range}' {no_effect}; leave it at auto"
    try:
        ranges = parse_ranges(data.value_range)
    except ValueError as error:
        why = f" ({error})" if str(error) else ""
        yield f"config.data.value_range: '{data.value_range}' is no range{why}; write {ALLOWED}"
        ranges = ()
    if len(ranges) > 1 and data.channels == 1:
        yield f"""config.data.channels: 1, and config.data.value_range='{data.value_range}' makes
            three; set it to 0 or 3, or name one range"""
    if data.group_pattern and data.source not in ("folders", "features"):
        yield f"config.data.group_pattern: '{data.group_pattern}' {no_effect}; leave it empty"
    try:
        re.compile(data.group_pattern)
    except re.error as error:
        yield f"""config.data.group_pattern: '{data.group_pattern}' is no regular expression
            ({error}); write one such as patient([0-9]+)"""


def _clip_rules(settings: Settings) -> Iterator[str]:
    data, clips = settings.data, settings.clips
    if (data.height, data.width, data.channels) != (0, 0, 0):
        yield """config.data.height, width, channels: they have no effect on generated clips; set
            config.clips.height, width and channels"""
    if clips.task == "shell":
        yield from _shell_rules(settings)
        return
    if clips.validation_clips > 0 and data.validation_examples == 0:
        yield f"""config.clips.validation_clips: {clips.validation_clips} clips need digits, but
            config.data.validation_examples is 0; hold out some, or set it to 0"""
    if clips.turn > 0 and clips.task != "motion":
        which = "move in four directions" if clips.task == "directions" else "are upright"
        yield f"""config.clips.turn: {clips.turn:g} has no effect on the task {clips.task}, whose
            digits {which}; set it to 0 or choose config.clips.task=motion"""
    if clips.task == "directions" and (clips.min_frames or clips.num_frames) < 2:
        yield """config.clips.task: directions are learnt from the second frame on; give all clips
            two frames at least (config.clips.num_frames, config.clips.min_frames)"""
    if clips.task == "parity" and (clips.min_frames or clips.num_frames) < 3:
        yield """config.clips.task: in parity the digit is seen before and after it blinks; give all
            clips three frames at least (config.clips.num_frames, config.clips.min_frames)"""
    if clips.min_frames > clips.num_frames:
        yield f"""config.clips.min_frames: {clips.min_frames} is more than config.clips.num_frames,
            {clips.num_frames}; lower it, or 0 for clips of one length"""
    if clips.digit_size > min(clips.height, clips.width):
        yield f"""config.clips.digit_size: {clips.digit_size} pixels do not fit a frame of
            {clips.height}x{clips.width}; lower it, or enlarge the frame"""


def _shell_rules(settings: Settings) -> Iterator[str]:
    clips = settings.clips
    if clips.train_min_swaps > clips.most_train_swaps:
        yield f"""config.clips.train_min_swaps: {clips.train_min_swaps} is more than the most swaps
            of a training clip, {clips.most_train_swaps} (config.clips.train_swaps); lower it, or 0
            for clips of one length"""
    if clips.turn > 0:
        yield f"""config.clips.turn: {clips.turn:g} has no effect on the task shell, whose cups
            stand upright; set it to 0"""
    if clips.width < 4 * clips.cups or clips.height < 8:
        yield f"""config.clips.width, height: a frame of {clips.height}x{clips.width} cannot show
            {clips.cups} cups; give it {4 * clips.cups} columns and 8 rows at least"""


def _size_rules(settings: Settings) -> Iterator[str]:
    data, sequence = settings.data, settings.model.sequence
    if data.source == "features" and (data.height, data.width, data.channels) != (0, 0, 0):
        yield """config.data.height, width, channels: they have no effect on features; leave them at
            0"""
    if not settings.reads_text and (data.height == 0) != (data.width == 0):
        yield f"""config.data.height: {data.height} with config.data.width={data.width}; give both,
            or 0 for both to keep the size that the data has"""
    if data.window_stride > 0 and data.window == 0:
        yield f"""config.data.window_stride: {data.window_stride} has no effect without
            config.data.window; give the frames of a window"""
    if data.window > 0 and sequence not in ("frames", "features"):
        yield f"""config.data.window: {data.window} has no effect with
            config.model.sequence={sequence}; windows are cut from clips (frames)"""
    if data.source == "moving_digits" and sequence != "frames":
        yield f"""config.model.sequence: '{sequence}' reads images, but
            config.data.source=moving_digits generates clips; choose frames"""


def line_rules(settings: Settings) -> Iterator[str]:
    """Rules of lines of writing; see `rules.check_together`."""
    if not settings.reads_text:
        for name in DECODING_FIELDS:
            value, default = getattr(settings.reading, name), getattr(Reading(), name)
            if value != default:
                yield f"""config.reading.{name}: {value!r} has no effect on runs that read no text;
                    leave it at {default!r}"""
        return
    data, lines, model = settings.data, settings.lines, settings.model
    is_made = data.source == "digit_lines"
    if data.width or data.channels or (is_made and data.height):
        yield """config.data.height, width, channels: lines are grey, as wide as they are, and
            generated lines 32 rows high; leave them at 0 (config.data.height scales your own
            lines)"""
    if lines.min_symbols > lines.max_symbols:
        yield f"""config.lines.min_symbols: {lines.min_symbols} is more than
            config.lines.max_symbols, {lines.max_symbols}; lower it"""
    if is_made and lines.validation_lines > 0 and data.validation_examples == 0:
        yield f"""config.lines.validation_lines: {lines.validation_lines} lines need digits, but
            config.data.validation_examples is 0; hold out some, or set it to 0"""
    if is_made and settings.reading.alphabet:
        yield f"""config.reading.alphabet: '{settings.reading.alphabet}' has no effect on generated
            lines, which are of digits and spaces; leave it empty"""
    if is_made and lines.invert != "auto":
        yield f"""config.lines.invert: '{lines.invert}' has no effect on generated lines, whose ink
            is light; leave it at auto"""
    if is_made and settings.reading.direction != Reading().direction:
        yield f"""config.reading.direction: '{settings.reading.direction}' has no effect on
            generated lines, which run from left to right; leave it at {Reading().direction}"""
    if model.sequence not in LINE_SEQUENCES:
        yield f"""config.model.sequence: '{model.sequence}' does not read lines of writing
            (config.data.source={data.source}); choose {" or ".join(LINE_SEQUENCES)}"""
    if model.readout != "per_step":
        yield f"""config.model.readout: '{model.readout}' gives one prediction for a whole line,
            and lines are read symbol by symbol; choose per_step"""
    yield from _prior_rules(settings)
    for section, name in (
        ("augment", "max_shift"),
        ("augment", "max_rotation"),
        ("loss", "label_smoothing"),
        ("loss", "step_weight"),
    ):
        value = getattr(getattr(settings, section), name)
        if value > 0:
            yield f"""config.{section}.{name}: {value:g} has no effect on lines of writing; set it
                to 0"""


def _prior_rules(settings: Settings) -> Iterator[str]:
    reading = settings.reading
    if not reading.prior:
        if reading.prior_weight != 1:
            yield f"""config.reading.prior_weight: {reading.prior_weight:g} has no effect without
                config.reading.prior; leave it at 1"""
        return
    kind, _, file = reading.prior.partition(":")
    if kind not in PRIORS or not file:
        yield f"""config.reading.prior: '{reading.prior}' is no prior; give words:FILE or
            bigram:FILE"""
    if reading.beam_width == 0:
        yield f"""config.reading.prior: '{reading.prior}' has no effect on greedy decoding; set
            config.reading.beam_width, such as 8"""
