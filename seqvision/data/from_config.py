"""The data set that a config asks for."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqvision.config.data_schema import KIND_SOURCES, TRACKING_TASKS
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.config.value_ranges import parse_percentiles, parse_ranges
from seqvision.data.alphabet import Alphabet, normalized
from seqvision.data.dataset import (
    SPLITS,
    ArraySplit,
    Dataset,
    Split,
    StreamedSplit,
    hold_out_validation,
)
from seqvision.data.features.clip_features import (
    FeatureCache,
    abstract_features,
    with_features,
)
from seqvision.data.features.extraction import Extractor
from seqvision.data.files.tones import Tones
from seqvision.data.sources.decoded_cache import cache_folder
from seqvision.data.sources.examples import ExampleSource
from seqvision.data.sources.feature_folders import load_features
from seqvision.data.sources.folders import load_folders
from seqvision.data.sources.idx_folder import load_idx
from seqvision.data.sources.line_images import load_lines
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.npz import load_npz
from seqvision.data.sources.tfds import load_tfds
from seqvision.data.synthetic.clip_recipe import MovingDigits, ShellGame
from seqvision.data.synthetic.digit_lines import digit_lines
from seqvision.data.synthetic.line_recipe import LEVELS, DigitLines
from seqvision.data.synthetic.moving_digits import moving_digits
from seqvision.data.synthetic.shell_game import shell_game
from seqvision.data.target_fit import check_targets
from seqvision.errors import UserError, did_you_mean
from seqvision.models.backbones import LEAST_SIDE
from seqvision.models.backbones.weights import load_backbone
from seqvision.models.cnn import smallest_side

LINE_HEIGHT = 32
"""Rows that images of lines are scaled to, where the config names none."""


def load_dataset(
    settings: Settings,
    say: Callable[[str], None] = print,
    show_progress: bool = False,
    compute: bool = True,
    check: Callable[[Dataset], None] = lambda dataset: None,
) -> Dataset:
    """Loads, or makes, the examples of all splits; of a frozen backbone, its features of them.

    Args:
      settings: the config.
      say: called with lines about what takes time or went wrong.
      show_progress: draw progress bars.
      compute: False leaves features 0 that a backbone would have to compute.
      check: called with the set before features of it are computed.

    Raises:
      UserError: an unknown source, data that cannot be had or that does not fit the network: one
        line.
    """
    source = settings.data.source
    if source not in _SOURCES:
        raise UserError(
            f"config.data.source: '{source}' is not known; choose one of {', '.join(_SOURCES)}"
            f"{did_you_mean(source, _SOURCES)}"
        )
    data = settings.data
    loading = Loading(
        size=(data.height, data.width, data.channels),
        kind=data.kind,
        target=data.target,
        tones=_stated_tones(settings),
        percentiles=parse_percentiles(data.value_range),
        reads_clips=settings.model.sequence == "frames",
        group_pattern=data.group_pattern,
        broken_files=data.broken_files,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        resident_bytes=data.resident_bytes,
        cache_dir=cache_folder(data.cache_dir),
        say=say,
        show_progress=show_progress,
    )
    dataset = _SOURCES[source](settings, loading)
    _check_fits(settings, dataset)
    check_targets(settings, dataset)
    check(dataset)
    if not settings.model.computes_features_once:
        return dataset
    if not compute:
        return abstract_features(dataset, settings.model.backbone)
    extractor = create_extractor(settings)
    return with_features(dataset, extractor, create_feature_cache(settings, say, show_progress))


def create_extractor(settings: Settings) -> Extractor:
    """The backbone of a config with the weights that it names."""
    model = settings.model
    path = expanded(model.backbone_weights, "config.model.backbone_weights")
    params = load_backbone(path, model.backbone)
    return Extractor(model.backbone, params, model.compute_dtype)


def initial_backbone(settings: Settings) -> Mapping[str, Any] | None:
    """The parameters that a backbone starts from, where some of its stages learn; else None."""
    model = settings.model
    if model.backbone == "none" or model.computes_features_once:
        return None
    path = expanded(model.backbone_weights, "config.model.backbone_weights")
    return load_backbone(path, model.backbone)


def create_feature_cache(
    settings: Settings, say: Callable[[str], None], show_progress: bool
) -> FeatureCache:
    """Where a config keeps features."""
    data = settings.data
    folder = cache_folder(data.cache_dir) / "features"
    limit, resident_bytes = data.feature_cache_bytes, data.resident_bytes
    return FeatureCache(folder, limit, resident_bytes, say, show_progress)


def _stated_tones(settings: Settings) -> Tones:
    data = settings.data
    first, *more = parse_ranges(data.value_range) or (None,)
    chosen = data.value_range if data.value_range.startswith("ct:") else ""
    return Tones(
        first,
        "" if data.paper == "auto" else data.paper,
        tuple(one for one in more if one),
        chosen=chosen,
    )


def _npz(settings: Settings, loading: Loading) -> Dataset:
    return load_npz(expanded(settings.data.path, "config.data.path"), loading)


def _idx(settings: Settings, loading: Loading) -> Dataset:
    return load_idx(expanded(settings.data.path, "config.data.path"), loading)


def _folders(settings: Settings, loading: Loading) -> Dataset:
    return load_folders(expanded(settings.data.path, "config.data.path"), loading)


def _features(settings: Settings, loading: Loading) -> Dataset:
    return load_features(expanded(settings.data.path, "config.data.path"), loading)


def _lines(settings: Settings, loading: Loading) -> Dataset:
    symbols, direction = settings.reading.alphabet, settings.reading.direction
    return load_lines(
        expanded(settings.data.path, "config.data.path"),
        loading,
        height=settings.data.height or LINE_HEIGHT,
        max_columns=settings.lines.width,
        alphabet=Alphabet(tuple(normalized(symbols)), direction) if symbols else None,
        direction=direction,
        invert=settings.lines.invert,
    )


def _moving_digits(settings: Settings, loading: Loading) -> Dataset:
    fields = dataclasses.asdict(settings.clips)
    num_clips = {name: fields[f"{name}_clips"] for name in SPLITS}
    fields["per_frame"] = settings.asks_for_steps and settings.clips.task in TRACKING_TASKS
    if settings.makes_shell_games:
        fields["min_swaps"] = fields["swaps"]
        recipes = dict.fromkeys(SPLITS, _made(ShellGame, fields))
        fields["swaps"] = settings.clips.most_train_swaps
        fields["min_swaps"] = fields["train_min_swaps"] or fields["swaps"]
        return shell_game(recipes | {"train": _made(ShellGame, fields)}, settings.seed, num_clips)
    fields["min_frames"] = fields["min_frames"] or fields["num_frames"]
    recipe = _made(MovingDigits, fields)
    return moving_digits(recipe, _digits(settings, loading), settings.seed, num_clips)


def _made(recipe: type[Any], fields: Mapping[str, Any]) -> Any:
    """A recipe of those fields that it has."""
    return recipe(**{field.name: fields[field.name] for field in dataclasses.fields(recipe)})


def _digit_lines(settings: Settings, loading: Loading) -> Dataset:
    lines = settings.lines

    def recipes_of(levels: str, width: int, least: int) -> tuple[DigitLines, ...]:
        most = lines.max_symbols
        return tuple(
            dataclasses.replace(LEVELS[level], min_symbols=least, max_symbols=most, width=width)
            for level in levels.split("+")
        )

    recipes = dict.fromkeys(SPLITS, recipes_of(lines.level, lines.width, lines.min_symbols))
    recipes["train"] = recipes_of(
        lines.train_level or lines.level,
        lines.train_width or lines.width,
        min(lines.train_min_symbols or lines.min_symbols, lines.max_symbols),
    )
    num_lines = {name: getattr(lines, f"{name}_lines") for name in SPLITS}
    return digit_lines(recipes, _digits(settings, loading), settings.seed, num_lines)


def _digits(settings: Settings, loading: Loading) -> Dataset:
    """Images that clips and lines are made of: always in memory."""
    return _tfds(settings, dataclasses.replace(loading, resident_bytes=math.inf))


def _tfds(settings: Settings, loading: Loading) -> Dataset:
    """A TFDS set, its validation split held out of `train`."""
    whole = load_tfds(settings.data.name, settings.data.dir, loading)
    train = whole.splits["train"]
    assert isinstance(train, ArraySplit | StreamedSplit)
    held_out = hold_out_validation(train, settings.data.validation_examples, whole.name)
    return dataclasses.replace(whole, splits={**held_out, "test": whole.splits["test"]})


_SOURCES: dict[str, Callable[[Settings, Loading], Dataset]] = {
    "tfds": _tfds,
    "npz": _npz,
    "folders": _folders,
    "features": _features,
    "idx": _idx,
    "lines": _lines,
    "moving_digits": _moving_digits,
    "digit_lines": _digit_lines,
}


def _check_fits(settings: Settings, dataset: Dataset) -> None:
    """Refuses a network that cannot read what the data set holds."""
    sequence = settings.model.sequence
    if dataset.of_clips and sequence not in ("frames", "features"):
        raise UserError(
            f"config.model.sequence: '{sequence}' reads images, but {dataset.name} holds clips of"
            f" {dataset.input_shape[0]} frames; choose frames{_or_kind(settings, 'images')}"
        )
    if not dataset.of_clips and sequence == "frames":
        raise UserError(
            f"config.model.sequence: 'frames' reads clips, but {dataset.name} holds images; choose"
            f" another one, such as cnn_rows{_or_kind(settings, 'clips')}"
        )
    height, width = dataset.input_shape[-3:-1]
    if settings.model.backbone != "none" and min(height, width) < LEAST_SIDE:
        raise UserError(
            f"config.model.backbone: {settings.model.backbone} reads frames of at least"
            f" {LEAST_SIDE}x{LEAST_SIDE}, and those of {dataset.name} are {height}x{width}; set"
            " config.data.height and config.data.width (or config.clips.height and width), such as"
            " 224, which it was trained on"
        )
    patch = settings.model.patch_size
    if sequence == "patches" and (height % patch or width % patch):
        raise UserError(
            f"config.model.patch_size: patches of {patch}x{patch} do not tile images of"
            f" {height}x{width}; choose a size that divides both, or scale the images with"
            " config.data.height and config.data.width"
        )
    _check_cnn(settings, dataset)


def _check_cnn(settings: Settings, dataset: Dataset) -> None:
    """Refuses images that valid padding leaves nothing of, and clips that are of many lengths."""
    model, (height, width) = settings.model, dataset.input_shape[-3:-1]
    least = smallest_side(len(model.cnn_channels))
    if model.cnn_padding == "valid" and min(height, width) < least:
        raise UserError(
            f"config.model.cnn_padding: valid leaves nothing of {dataset.name}'s {height}x{width};"
            f" {len(model.cnn_channels)} convolutions (config.model.cnn_channels) need"
            f" {least}x{least} at least; choose same, fewer of them, or a larger size"
            f" ({'config.clips' if settings.data.source == 'moving_digits' else 'config.data'}"
            ".height and width)"
        )
    if not model.cnn_per_frame:
        return
    lengths = [length for split in dataset.splits.values() for length in _clip_lengths(split)]
    needed = settings.data.window or dataset.input_shape[0]
    if lengths and min(lengths) < needed:
        raise UserError(
            f"config.model.cnn_per_frame: it needs {needed} frames of each clip, and clips of"
            f" {dataset.name} have {min(lengths)} to {max(lengths)}; set config.data.window to at"
            f" most {min(lengths)}, which cuts windows of one length, or switch it off"
        )


def _clip_lengths(split: Split) -> Sequence[int]:
    """The frames of each clip; none of generated ones, which `config.rules` looks after."""
    if isinstance(split, ArraySplit) and split.lengths is not None:
        return split.lengths.tolist()
    if isinstance(split, StreamedSplit) and isinstance(split.source, ExampleSource):
        return [split.source.examples[number].shape[0] for number in split.numbers]
    return ()


def _or_kind(settings: Settings, kind: str) -> str:
    if settings.data.source not in KIND_SOURCES:
        return ""
    return f", or config.data.kind={kind} if these are {kind}"
