"""NIfTI files as clips: axes, scale, times, and one line for what is wrong."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.files.clips import kind_of, read_frames
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.tones import Tones
from seqvision.errors import UserError
from tests.data.files.dicom_files import AXIAL, save_dicom
from tests.data.making import arrays, folders

nibabel = pytest.importorskip("nibabel")

VOLUME = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
LARGE = np.random.default_rng(0).integers(0, 99, (8, 9, 10)).astype(np.int16)


def save(path: Path, values: np.ndarray, affine: Any = None, **header: Any) -> Path:
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        getattr(image.header, name)(*value)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def levels(path: Path) -> np.ndarray:
    """Values from 0 to 255, as they are."""
    return read_frames(path, tones=Tones((0, 255)))[..., 0]


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_slices_go_to_the_head_and_show_the_right_on_the_left(tmp_path: Path, name: str) -> None:
    """Axes to the right, front and head: the first voxel is right at the back, of the foot."""
    found = levels(save(tmp_path / name, VOLUME))
    assert found.shape == (5, 4, 3) and kind_of(tmp_path / name) == "clip"
    for x, y, z in np.ndindex(VOLUME.shape):
        assert found[z, 3 - y, 2 - x] == VOLUME[x, y, z]


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_any_orientation_gives_the_same_pictures(
    tmp_path: Path, flips: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    """The same voxels, stored along other axes and with an affine that says so."""
    stored = VOLUME.transpose(axes)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for number, axis in enumerate(axes):
        affine[axis, number] = flips[number]
        if flips[number] < 0:
            stored = np.flip(stored, number)
            affine[axis, 3] = stored.shape[number] - 1
    expected = levels(save(tmp_path / "one.nii", VOLUME))
    np.testing.assert_array_equal(levels(save(tmp_path / "two.nii", stored, affine)), expected)


def test_a_volume_is_what_its_dicom_series_is(tmp_path: Path) -> None:
    """DICOM's axes run to the left, back and head, NIfTI's to the right, front and head."""
    pytest.importorskip("pydicom")
    series = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)  # Slices, rows, columns.
    for z, stored in enumerate(series):
        save_dicom(tmp_path / f"s/{z}.dcm", stored, ImagePositionPatient=[0.0, 0.0, float(z)],
                   ImageOrientationPatient=list(AXIAL), Modality="MR")  # fmt: skip
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    volume = save(tmp_path / "x.nii", series.transpose(2, 1, 0).astype(np.int16), affine)
    np.testing.assert_array_equal(levels(volume), levels(tmp_path / "s"))


def test_slope_and_intercept(tmp_path: Path) -> None:
    path = save(tmp_path / "x.nii", VOLUME, set_slope_inter=(2.0, 7.0))
    with path.open("r+b") as file:  # nibabel writes NaN for values that it was given as they are.
        file.seek(112)
        file.write(np.array([2.0, 7.0], "<f4").tobytes())
    expected = levels(save(tmp_path / "y.nii", VOLUME)).astype(int) * 2 + 7
    np.testing.assert_array_equal(levels(path), expected)


def test_each_time_is_a_mosaic_of_all_slices(tmp_path: Path) -> None:
    values = np.arange(3 * 4 * 5 * 2, dtype=np.int16).reshape(3, 4, 5, 2)
    found = levels(save(tmp_path / "x.nii", values))
    assert found.shape == (2, 2 * 4, 3 * 3)
    for time in range(2):
        slices = levels(save(tmp_path / f"{time}.nii", values[..., time]))
        tiles = [*slices, np.zeros((4, 3), np.uint8)]
        rows = [np.concatenate(tiles[n : n + 3], axis=1) for n in (0, 3)]
        np.testing.assert_array_equal(found[time], np.concatenate(rows))
    film = levels(save(tmp_path / "film.nii", values[:, :, :1]))
    assert film.shape == (2, 4, 3) and film[1, 3, 2] == values[0, 0, 0, 1]
    assert kind_of(save(tmp_path / "one.nii", VOLUME[..., 0])) == "image"


def test_places_without_a_slice_are_black_and_count_in_no_percentile(tmp_path: Path) -> None:
    """As padding of DICOM does, also where frames and files have other extremes."""
    rng = np.random.default_rng(0)
    values = rng.normal(100, 20, (3, 4, 5, 2)).astype(np.float32)
    values[0, 0, 0, 0] = np.nan
    for name in "ab":
        for number in range(3):
            shifted = values[..., ::-1] if name == "b" else values
            save(tmp_path / name / f"{number}.nii", shifted + np.float32(number * 10))
    found = folders(tmp_path, reads_clips=True, percentiles=(5, 95))
    finite = [values[np.isfinite(values)] + np.float32(number * 10) for number in range(3)]
    expected = np.percentile(np.concatenate(finite * 2).astype(np.float64), (5, 95))
    np.testing.assert_allclose(found.tones.value_range, expected, rtol=1e-6)
    assert (arrays(found).inputs[:, :, 4:, 6:] == 0).all()


def broken(folder: Path, kind: str) -> Path:
    path = save(folder / "x.nii", VOLUME)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "no":
        path.write_bytes(b"no NIfTI" * 90)
    elif kind == "short":
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "gz":
        path = save(folder / "x.nii.gz", VOLUME)
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "checksum":
        path = save(folder / "x.nii.gz", LARGE)
        content = bytearray(path.read_bytes())
        content[-8] ^= 1
        path.write_bytes(content)
    elif kind == "turned":  # nibabel reads its values to turn them.
        path = save(folder / "x.nii.gz", LARGE, np.diag([-1.0, 1, 1, 1]))
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "affine":
        path.write_bytes(path.read_bytes()[:280] + bytes(48) + path.read_bytes()[328:])
    elif kind == "axes":
        save(path, VOLUME[..., None, None].repeat(2, axis=-1))
    elif kind == "complex":
        save(path, VOLUME.astype(np.complex64))
    elif kind == "nan":
        save(path, VOLUME * np.float32(np.nan))
    elif kind == "orientation":
        image = nibabel.Nifti1Image(VOLUME, np.eye(4))
        image.header.set_sform(np.eye(4), code=1)
        image.header.set_qform(np.diag([-1.0, 1.0, 1.0, 1.0]), code=1)
        nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "an empty file"),
        ("no", "no NIfTI file, or a damaged one"),
        ("short", "damaged or cut short"),
        ("gz", "no NIfTI file, or a damaged one"),
        ("checksum", "its values are damaged or cut short"),
        ("turned", "its values are damaged or cut short"),
        ("affine", "its orientation is none: the affine has an axis without a length"),
        ("axes", "5 axes, of 3 x 4 x 5 x 1 x 2"),
        ("complex", "its values are complex64; real numbers are read"),
        ("nan", "it has no finite value"),
        ("orientation", "its sform says RAS and its qform LAS"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(UnreadableImageError) as error:
        read_frames(broken(tmp_path, kind))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_cifti_is_named(tmp_path: Path) -> None:
    axes = (
        nibabel.cifti2.SeriesAxis(0, 1, 2),
        nibabel.cifti2.BrainModelAxis.from_mask(np.ones((2, 2, 2)), affine=np.eye(4)),
    )
    image = nibabel.Cifti2Image(np.zeros((2, 8), np.float32), axes)
    image.to_filename(tmp_path / "a.dtseries.nii")
    with pytest.raises(UnreadableImageError, match="a CIFTI file, of surfaces"):
        read_frames(tmp_path / "a.dtseries.nii")


def test_nifti_without_nibabel_names_the_extra(tmp_path: Path, monkeypatch: Any) -> None:
    path = save(tmp_path / "x.nii.gz", VOLUME)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"x\.nii\.gz: a NIfTI file; .*'seqvision\[medical\]'"):
        read_frames(path)


def test_class_folders_of_volumes(tmp_path: Path) -> None:
    """As BIDS has them, in folders of their own; one scale for all."""
    for number, name in enumerate("ab"):
        for patient in range(2):
            save(tmp_path / name / f"sub-{patient}/anat/x.nii.gz", VOLUME + 50 * number + patient)
    found = folders(tmp_path, reads_clips=True)
    assert found.input_shape == (5, 4, 3, 1) and found.tones.value_range == (0, 110)
    largest = arrays(found).inputs.max(axis=(1, 2, 3, 4)).tolist()
    assert largest == [round(value * 255 / 110) for value in (59, 60, 109, 110)]
    assert found.tones.kinds == ("NIfTI",)


def test_voxel_sizes_that_differ_are_said(tmp_path: Path) -> None:
    said: list[str] = []
    for number, name in enumerate("aabb"):
        affine = np.diag([0.7, 0.9, 4, 1]) if number == 3 else None
        save(tmp_path / name / f"{number}.nii", VOLUME + number, affine)
    folders(tmp_path, reads_clips=True, say=said.append)
    [line] = [line for line in said if "voxel" in line]
    assert line.startswith("voxel sizes differ, and none is resampled: 3 of 1 x 1 x 1, such as ")
    assert "; 1 of 0.7 x 0.9 x 4, such as" in line


def test_a_table_of_targets_has_the_name_without_both_suffixes(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "ward" / f"{name}.nii.gz", VOLUME + ord(name))
        (tmp_path / f"ward/{name}.csv").write_text(f"frame,target\n0,{name}\n")
    found = folders(tmp_path, reads_clips=True)
    assert found.targets.kind == "steps" and found.class_names == ("a", "b")
