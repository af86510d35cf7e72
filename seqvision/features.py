"""Features of clips as files, computed by a pretrained backbone: `--mode=features`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqvision.config.schema import Settings
from seqvision.data.dataset import Dataset
from seqvision.data.features.clip_features import features_of_clips
from seqvision.data.features.feature_split import lengths_of
from seqvision.data.from_config import create_extractor, create_feature_cache, load_dataset
from seqvision.errors import UserError
from seqvision.exporters.output_folder import checked_folder, write_folder
from seqvision.inference.inputs import check_pattern, find_inputs, read_inputs
from seqvision.runtime.console import on_terminal, say

_SIDE = 224
"""Height and width that frames are scaled to where the config names none."""


def write_features(settings: Settings, inputs: str, output: str) -> int:
    """Writes the features of clips, a file with (L, D) float32 for each.

    Args:
      settings: names the backbone, its weights, and the height and width of frames; without
        `inputs` also the data set.
      inputs: a glob pattern of clips; "" takes the data set of the config, and writes folders
        that `config.data.source=features` reads, see `_write_set`.
      output: a new folder, written whole or not at all. Features that were computed are kept in the
        cache, whatever happens.

    Returns:
      The number of clips that could not be read.

    Raises:
      UserError: no frozen backbone, nothing matches, or the folder cannot be written.
    """
    if not settings.model.computes_features_once:
        raise UserError(
            "--mode=features: it needs a pretrained backbone that is frozen; set"
            " config.model.sequence=frames, config.model.backbone and"
            " config.model.backbone_weights, and leave config.model.backbone_trainable at none"
        )
    target = checked_folder(output)
    if not inputs:
        dataset = load_dataset(settings, say, on_terminal())
        written = write_folder(target, lambda folder: _write_set(folder, dataset))
        say(f"features of {written} clips written to {target}")
        return 0
    check_pattern(inputs)
    paths = find_inputs(inputs, of_clips=True)
    failed: list[str] = []
    written = write_folder(target, lambda folder: _write_clips(folder, paths, settings, failed))
    say(f"features of {written} clips written to {target}")
    for line in failed:
        print(f"unreadable: {line}", file=sys.stderr)
    return len(failed)


def _write_set(folder: Path, dataset: Dataset) -> int:
    """Writes a file for each clip, `NUMBER_NAME`; how many.

    `SPLIT/CLASS/*.npy`, and of other targets than one class `SPLIT/*.npz`, which hold them too.
    """
    written = 0
    for split_name, split in dataset.splits.items():
        for number in range(len(split)):
            batch = split.read(np.array([number], np.int32))
            length, label = int(lengths_of(batch)[0]), batch["labels"][0]
            features = batch["inputs"][0, :length, 0, 0]
            name = split.names[number] if split.names else ""
            stem = f"{number:06}_{_safe(Path(name).stem)}".rstrip("_")
            of_class = dataset.targets.kind == "class"
            class_folder = _safe(dataset.class_names[int(label)]) if of_class else ""
            place = folder / split_name / class_folder
            place.mkdir(parents=True, exist_ok=True)
            if of_class:
                np.save(place / f"{stem}.npy", features)
            else:
                arrays = _targets(dataset, label, length)
                np.savez(place / f"{stem}.npz", features=features, **arrays)
            written += 1
    return written


def _targets(dataset: Dataset, label: Any, length: int) -> dict[str, Any]:
    """The arrays that say what is to be predicted of a clip; see `feature_targets`."""
    if dataset.targets.kind == "number":
        return {"labels": label}
    names = np.array(dataset.class_names)
    if dataset.targets.kind == "steps":
        return {"targets": label[:length], "class_names": names}
    return {"labels": label, "class_names": names}


def _write_clips(folder: Path, paths: list[Path], settings: Settings, failed: list[str]) -> int:
    """Writes `NAME.npy` for each clip; how many. Lines about the others go to `failed`."""
    data, names = settings.data, list[str]()
    shape = (1, data.height or _SIDE, data.width or _SIDE, data.channels or 3)

    def clips() -> Iterator[np.ndarray]:
        for one in read_inputs(paths, shape, True, _no_images):
            if one.array is None:
                failed.append(f"{one.name}: {one.error}")
            else:
                names.append(one.name)
                yield one.array

    cache = create_feature_cache(settings, say, on_terminal())
    found = features_of_clips(clips(), create_extractor(settings), cache)
    if not names:
        raise UserError(f"--inputs: none of {len(paths)} clips can be read: {failed[0]}")
    # Names without folders may come twice.
    stems = [_safe(re.sub(r"\.\w+(?=\[|$)", "", Path(name).name)) for name in names]
    twice = {stem for stem in stems if stems.count(stem) > 1}
    for number, (stem, features) in enumerate(zip(stems, found, strict=True)):
        np.save(folder / f"{stem}{f'_{number:06}' if stem in twice else ''}.npy", features)
    return len(names)


def _no_images(path: Path) -> np.ndarray:
    raise AssertionError(f"{path} is read as a clip")


def _safe(name: str) -> str:
    """A name that is one part of a path."""
    return re.sub(r"[^\w.+-]+", "_", name).strip(".")[:100] or "_"


def run(settings: Settings, inputs: str, output: str) -> int:
    """`--mode=features`; returns the exit code."""
    return min(1, write_features(settings, inputs, output))
