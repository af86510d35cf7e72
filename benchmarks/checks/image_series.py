"""A check that pictures of real files are those that pydicom, nibabel, tifffile and Pillow give.

    python -m benchmarks.checks.image_series

Takes files that pydicom and nibabel ship (tifffile and Pillow write theirs here), puts each into
class folders, and loads it as training does and as `--mode=predict` does. The expected picture is
computed in float64 with these libraries alone:

    DICOM, grey:     v = modality LUT, or stored value * slope + intercept (dose: * DoseGridScaling)
    DICOM, colours:  pydicom's RGB (palettes: its colour LUT), * 255 / (2^bits - 1)
    NIfTI:           v = get_fdata() of the closest canonical image; row r, column c of slice z is
                     voxel (X - 1 - c, Y - 1 - r, z); of several times, a mosaic of all slices,
                     black where there is none
    TIFF, PNG, .npy: v = the values that were written
    grey:            255 * clip((v - low) / (high - low), 0, 1), MONOCHROME1: 255 minus that

`low` and `high` are the 1st and 99th percentile of the file, or the windows of CT. A difference of
more than half a grey level is exit code 1.
"""

import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import options, report
from benchmarks.checks.image_series_files import Case, all_cases
from benchmarks.machine import describe_devices

_MOST_DIFFERENCE = 0.5


class Row(NamedTuple):
    """What was found of a case: shape as it is read, and largest differences in grey levels."""

    name: str
    library: str
    shape: list[int]
    in_training: float
    in_predict: float


def rows(folder: Path) -> Iterator[Row]:
    """Compares all cases; copies lie in `folder`."""
    for number, case in enumerate(all_cases(folder / "written")):
        yield compared(case, folder / str(number))


def compared(case: Case, folder: Path) -> Row:
    """One case, loaded in training and in prediction."""
    from seqvision.data.files.images import read_image
    from seqvision.data.files.tones import Tones
    from seqvision.data.sources.folders import load_folders
    from seqvision.data.sources.loading import Loading
    from seqvision.inference.inputs import read_inputs

    for name in ("a", "b"):
        copy = shutil.copytree if case.path.is_dir() else shutil.copy
        (folder / name).mkdir(parents=True)
        copy(case.path, folder / name / case.path.name)
    tones = Tones(case.ranges[0], "", case.ranges[1:]) if case.ranges else Tones()
    # The same file in both classes is a remark, and meant.
    loading = Loading(reads_clips=case.of_clips, tones=tones, say=lambda line: None)
    dataset = load_folders(folder, loading)
    trained = np.asarray(dataset.splits["train"].read(np.arange(1, dtype=np.int32))["inputs"][0])
    shape = dataset.input_shape
    [read] = read_inputs(
        [folder / "a" / case.path.name],
        shape,
        case.of_clips,
        lambda path: read_image(path, shape[-3:], "mixed", "never", dataset.tones),
        tones=dataset.tones,
    )
    expected = case.expected() if case.of_clips else case.expected()[0]
    return Row(
        case.path.name,
        case.library,
        list(trained.shape),
        _difference(trained, expected),
        math.inf if read.array is None else _difference(read.array, expected),
    )


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        if found.shape[:-1] != expected.shape[:-1] or found.shape[-1] != 1:
            return math.inf
        found = np.repeat(found, expected.shape[-1], axis=-1)  # Three equal channels.
    return float(np.abs(found.astype(np.float64) - expected).max())


def body(facts: Mapping[str, Any]) -> list[str]:
    """A table."""
    lines = ["| file | by | shape | in training | in `predict` |", "|---|---|---|--:|--:|"]
    for name, library, shape, *differences in facts["rows"]:
        size = " x ".join(map(str, shape))
        cells = " | ".join(f"{difference:.3f}" for difference in differences)
        lines.append(f"| {name} | {library} | {size} | {cells} |")
    lines += [
        "",
        f"Largest differences in grey levels of 255; at most {_MOST_DIFFERENCE} passes."
        f" {facts['failed']} of {len(facts['rows'])} files failed.",
    ]
    return lines


def main(arguments: Sequence[str]) -> int:
    chosen = options.Parser("benchmarks.checks.image_series", __doc__).parse(arguments)
    facts = report.begin(chosen, "image_series", describe_devices())
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(Path(folder)))
    facts["rows"] = [list(row) for row in found]
    facts["failed"] = sum(
        not max(row.in_training, row.in_predict) <= _MOST_DIFFERENCE for row in found
    )
    print(report.write(facts, body(facts)))
    return int(facts["failed"] > 0)


if __name__ == "__main__":
    sys.exit(options.run(main))
