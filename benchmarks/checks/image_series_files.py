"""Real files of series and volumes, and their pictures computed with other libraries alone."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Of pydicom's test files: 8 to 32 bits, signed and not, grey, colours, palettes, cine, compressed.
_DICOM = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm",
    "MR_small_implicit.dcm", "image_dfl.dcm", "examples_overlay.dcm", "rtdose.dcm",
    "rtdose_rle_1frame.dcm", "rtdose_expb.dcm", "liver_1frame.dcm", "ExplVR_BigEnd.dcm",
    "SC_rgb_rle.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_small_odd.dcm",
    "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_palette.dcm",
    "examples_ybr_color.dcm", "dicomdirtests/77654033/CR1/6154",
)  # fmt: skip
# Folders of slices.
_SERIES = ("dicomdirtests/98892001/CT5N",)
_NIFTI = (
    "anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz",
    "reoriented_anat_moved.nii", "standard.nii.gz",
)  # fmt: skip
# "ct:brain+subdural+bone", from the field's documentation.
_CT = ((0.0, 80.0), (-20.0, 180.0), (-500.0, 1300.0))


@dataclasses.dataclass(frozen=True)
class Case:
    """A file or a folder of slices.

    Attributes:
      path: where it lies.
      library: what reads it here.
      of_clips: whether it is a clip.
      ranges: the values that are black and white, of each channel; () for colours.
      pictures: (T, height, width, channels) in grey levels, float64, from the ranges.
    """

    path: Path
    library: str
    of_clips: bool
    ranges: tuple[tuple[float, float], ...]
    pictures: Callable[[tuple[tuple[float, float], ...]], np.ndarray]

    def expected(self) -> np.ndarray:
        return self.pictures(self.ranges)


def all_cases(written: Path) -> Iterator[Case]:
    """All files; those that have to be written lie in the folder `written`."""
    import nibabel
    import pydicom.data

    root = Path(pydicom.data.__file__).parent / "test_files"
    for name in _DICOM:
        yield _dicom_case(root / name)
    yield _dicom_case(root / "CT_small.dcm", _CT)
    for name in _SERIES:
        yield _series_case(root / name)
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    for name in _NIFTI:
        frames = _nifti(folder / name)
        yield _grey_case(folder / name, "nibabel", True, frames)
    yield from _written(written)


def _levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # NaN, where there is no slice, is black.
    return np.nan_to_num(255 * np.clip((values.astype(np.float64) - low) / (high - low), 0, 1))


def _grey(frames: np.ndarray, ranges: Any, inverted: bool = False) -> np.ndarray:
    levels = np.stack([_levels(frames, low, high) for low, high in ranges], axis=-1)
    return 255 - levels if inverted else levels


def _grey_case(path: Path, library: str, of_clips: bool, frames: np.ndarray) -> Case:
    return Case(path, library, of_clips, _range(frames), functools.partial(_grey, frames))


def _range(frames: np.ndarray) -> tuple[tuple[float, float]]:
    low, high = np.nanpercentile(frames, (1, 99)).tolist()
    return ((low, high if high > low else low + 1),)


def _dicom_case(path: Path, ranges: Any = None) -> Case:
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    dataset = pydicom.dcmread(path)
    pixels = pixel_array(dataset)
    of_clips = int(dataset.get("NumberOfFrames") or 1) > 1
    if dataset.PhotometricInterpretation.startswith("MONOCHROME"):
        frames = _dicom_values(dataset, pixels)
        frames = frames if of_clips else frames[None]
        inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
        pictures = functools.partial(_grey, frames, inverted=inverted)
        return Case(path, "pydicom", of_clips, ranges or _range(frames), pictures)
    bits = dataset.BitsStored
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        bits = 8 * pixels.dtype.itemsize
    colours = pixels.astype(np.float64) * 255 / (2**bits - 1)
    colours = colours if of_clips else colours[None]
    return Case(path, "pydicom", of_clips, (), lambda ranges: colours)


def _dicom_values(dataset: Any, pixels: np.ndarray) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut

    if dataset.get("DoseGridScaling"):
        return pixels * float(dataset.DoseGridScaling)
    return np.asarray(apply_modality_lut(pixels, dataset), np.float64)


def _series_case(folder: Path) -> Case:
    """The slices of a folder, from the lowest place along the normal to the highest."""
    import pydicom

    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]

    def along(dataset: Any) -> float:
        row, column = np.reshape([float(x) for x in dataset.ImageOrientationPatient], (2, 3))
        position = [float(x) for x in dataset.ImagePositionPatient]
        return float(np.dot(np.cross(row, column), position))

    slices.sort(key=along)
    frames = np.stack([_dicom_values(one, one.pixel_array) for one in slices])
    return _grey_case(folder, "pydicom", True, frames)


def _nifti(path: Path) -> np.ndarray:
    import nibabel

    values = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    volumes = values[..., None] if values.ndim == 3 else values
    width, height, slices, times = volumes.shape
    pictures = np.empty((times, slices, height, width))
    for row in range(height):
        for column in range(width):
            voxels = volumes[width - 1 - column, height - 1 - row]
            pictures[:, :, row, column] = voxels.T
    if times == 1:
        return pictures[0]
    columns = math.ceil(math.sqrt(slices))
    rows = math.ceil(slices / columns)
    mosaics = np.full((times, rows * height, columns * width), np.nan)
    for number in range(slices):
        top, left = number // columns * height, number % columns * width
        mosaics[:, top : top + height, left : left + width] = pictures[:, number]
    return mosaics


def _written(folder: Path) -> Iterator[Case]:
    """Files of tifffile, Pillow and numpy, of the values of one of pydicom's pictures."""
    import pydicom
    import tifffile
    from PIL import Image
    from pydicom.data import get_testdata_file

    folder.mkdir()
    ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    picture = ct.pixel_array.astype(np.int32)
    stack = np.stack([picture, picture.T, picture[::-1]])
    unsigned = stack.clip(0).astype(np.uint16)
    for name, values, how in (
        ("imagej.tif", unsigned, {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("ome.tif", stack.astype(np.int16), {"ome": True, "metadata": {"axes": "TYX"}}),
        ("one_page.tif", stack / np.float32(7), {"truncate": True}),
        ("int64.tif", stack.astype(np.int64), {}),
    ):
        tifffile.imwrite(folder / name, values, photometric="minisblack", **how)
        yield _grey_case(folder / name, "tifffile", True, tifffile.imread(folder / name))
    Image.fromarray(unsigned[0]).save(folder / "grey16.png")
    read = np.asarray(Image.open(folder / "grey16.png"))[None]
    yield _grey_case(folder / "grey16.png", "Pillow", False, read)
    Image.fromarray((stack[0] / 3).astype(np.float32)).save(folder / "float.tif")
    read = np.asarray(Image.open(folder / "float.tif"))[None]
    yield _grey_case(folder / "float.tif", "Pillow", False, read)
    np.save(folder / "clip.npy", stack / 7)
    yield _grey_case(folder / "clip.npy", "numpy", True, np.load(folder / "clip.npy"))
