"""NIfTI files: their headers, and their slices or times as pictures of physical values."""

import contextlib
import functools
import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from seqvision.data.files.opening import UnreadableImageError, check_not_empty, reading
from seqvision.data.files.paths import shown
from seqvision.data.files.physical_values import check_size, picture
from seqvision.errors import UserError
from seqvision.runtime.regular_file import regular

_SUFFIXES = (".nii", ".nii.gz")
_KEPT = 2**16


class NiftiHeader(NamedTuple):
    """Frames of a file, their size, the kind of their values, see `Tones.kinds`, and of voxels."""

    num_frames: int
    height: int
    width: int
    kind: str
    voxel: tuple[float, ...]


def is_nifti(path: Path) -> bool:
    """Whether a file is NIfTI, by its name."""
    return path.name.lower().endswith(_SUFFIXES)


def nifti_header(path: Path) -> NiftiHeader:
    """The header of a file, kept for those who ask again; see `nifti_pictures`."""
    with reading():
        stat = path.stat()
        return _header(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=_KEPT)
def _header(path: Path, _size: int, _changed: int) -> NiftiHeader:
    image = _canonical(path)
    width, height, slices, times = _axes(image)
    is_small = image.get_data_dtype().itemsize == 1 and image.dataobj.slope == 1
    kind = "NIfTI of 8 bits" if is_small else "NIfTI"
    voxel = tuple(float(f"{size:.3g}") for size in image.header.get_zooms()[:3])
    if times == 1:
        return NiftiHeader(slices, height, width, kind, voxel)
    columns = _columns(slices)
    return NiftiHeader(times, height * -(-slices // columns), width * columns, kind, voxel)


def nifti_pictures(path: Path) -> list[Image.Image]:
    """The frames of a file, by `scl_slope` and `scl_inter`, in nibabel's nearest canonical order.

    A volume is its axial slices from the foot to the head, shown as DICOM shows them: the patient's
    right on the left, the front on top. Of several times each is one frame; it shows all slices of
    its time side by side, rows of a square from its upper left (as scanners store mosaics).
    Places of the square without a slice are NaN, as padding of DICOM is.

    Raises:
      UnreadableImageError: it is no NIfTI file, damaged or cut short, has more than four axes,
        colours or complex numbers, or an orientation that is none or contradicts itself.
      UserError: nibabel is not installed.
    """
    with reading():
        image = _canonical(path)
        width, height, slices, times = _axes(image)
        header = nifti_header(path)
        check_size(header.num_frames, header.height, header.width)
        with _reading_values():
            values = np.asanyarray(image.dataobj)
            if path.name.lower().endswith(".gz"):
                _check_sum(path)
        values = values.reshape(width, height, slices, times)
        # (T, slices, height, width), from the back-left corner to the front-right one.
        frames = values[::-1, ::-1].transpose(3, 2, 1, 0)
        pictures = frames[0] if times == 1 else map(_mosaic, frames)
        return [picture(frame, header.kind) for frame in pictures]


def _columns(slices: int) -> int:
    return math.ceil(math.sqrt(slices))


def _mosaic(volume: np.ndarray) -> np.ndarray:
    """All slices (slices, height, width) in one picture; what is over is NaN."""
    slices, height, width = volume.shape
    columns = _columns(slices)
    rows = -(-slices // columns)
    over = rows * columns - slices
    if over:
        nothing = np.full((over, height, width), np.nan, np.float32)
        volume = np.concatenate([volume.astype(np.float32), nothing])
    tiles = volume.reshape(rows, columns, height, width)
    return tiles.swapaxes(1, 2).reshape(rows * height, columns * width)


@contextlib.contextmanager
def _reading_values() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableImageError("its values are damaged or cut short") from error


def _check_sum(path: Path) -> None:
    """Raises OSError where a compressed file does not have its checksum: nibabel stops before."""
    with gzip.open(regular(path)) as file:
        while file.read(2**20):
            pass


def _axes(image: Any) -> tuple[int, int, int, int]:
    """Width, height, slices and times."""
    shape = tuple(int(size) for size in image.shape)
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if not 2 <= len(shape) <= 4:
        raise UnreadableImageError(
            f"{len(shape)} axes, of {' x '.join(map(str, shape))}; 2 to 4 are read (width, height,"
            " slices, times); save a file for each of the others"
        )
    width, height, slices, times = (*shape, 1, 1)[:4]
    return width, height, slices, times


def _canonical(path: Path) -> Any:
    try:
        import nibabel
    except ImportError:
        raise UserError(
            f"{shown(path)}: a NIfTI file; reading it needs nibabel: pip install"
            " 'seqvision[medical]', then run again"
        ) from None
    check_not_empty(path)
    try:
        image: Any = nibabel.load(regular(path))
        if not isinstance(image, nibabel.spatialimages.SpatialImage):
            raise UnreadableImageError("a CIFTI file, of surfaces; volumes of NIfTI are read")
        _check_orientation(nibabel, image)
    except nibabel.filebasedimages.ImageFileError as error:
        raise UnreadableImageError("no NIfTI file, or a damaged one") from error
    if image.get_data_dtype().kind not in "biuf":
        raise UnreadableImageError(
            f"its values are {image.get_data_dtype()}; real numbers are read, one a voxel"
        )
    with _reading_values():  # Where axes are turned.
        return nibabel.as_closest_canonical(image)


def _check_orientation(nibabel: Any, image: Any) -> None:
    header, axes = image.header, image.affine[:3, :3]
    if not (np.isfinite(axes).all() and np.linalg.det(axes)):
        raise UnreadableImageError(
            "its orientation is none: the affine has an axis without a length, or numbers that are"
            " not finite; repair it (nibabel: set_sform, set_qform)"
        )
    if not hasattr(header, "get_sform"):
        return
    (one, one_code), (other, other_code) = (
        header.get_sform(coded=True),
        header.get_qform(coded=True),
    )
    if not one_code or not other_code:
        return
    names = ["".join(map(str, nibabel.aff2axcodes(affine))) for affine in (one, other)]
    if names[0] != names[1]:
        raise UnreadableImageError(
            f"it contradicts itself about its orientation: its sform says {names[0]} and its qform"
            f" {names[1]}; repair one of them (nibabel: set_sform, set_qform)"
        )
