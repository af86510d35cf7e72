"""Files of series and volumes that Pillow does not read: DICOM, NIfTI, arrays, some TIFFs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from seqvision.data.files.dicom import dicom_header, dicom_pictures, is_dicom
from seqvision.data.files.nifti import is_nifti, nifti_header, nifti_pictures
from seqvision.data.files.numpy_file import is_numpy, numpy_header, numpy_pictures
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.paths import shown
from seqvision.data.files.slice_order import order_of_slices
from seqvision.data.files.tiff_series import (
    is_tiff_series,
    tiff_series_header,
    tiff_series_pictures,
)


class VolumeHeader(NamedTuple):
    """What a file is without its pixels.

    Attributes:
      num_frames: 0 where it holds no picture.
      kind: of its values, see `Tones.kinds`; "" where its pictures have 8 bits a value.
    """

    num_frames: int
    height: int
    width: int
    kind: str


def is_volume(path: Path) -> bool:
    """Whether a file is of one of these formats."""
    return is_nifti(path) or is_numpy(path) or is_dicom(path) or is_tiff_series(path)


def volume_header(path: Path) -> VolumeHeader:
    """The header of a file.

    Raises:
      UnreadableImageError: it cannot be read.
      UserError: what reads such files is not installed.
    """
    if is_nifti(path):
        return VolumeHeader(*nifti_header(path)[:4])
    if is_numpy(path):
        return VolumeHeader(*numpy_header(path))
    if is_tiff_series(path):
        return VolumeHeader(*tiff_series_header(path))
    header = dicom_header(path)
    return VolumeHeader(header.num_frames, header.height, header.width, header.kind)


def volume_pictures(path: Path) -> list[Image.Image]:
    """The frames of a file, each whole in memory; raises as `volume_header` does."""
    if is_nifti(path):
        return nifti_pictures(path)
    if is_tiff_series(path):
        return tiff_series_pictures(path)
    return numpy_pictures(path) if is_numpy(path) else dicom_pictures(path)


def voxel_size(path: Path) -> tuple[float, ...] | None:
    """Of NIfTI its voxels, of DICOM the pixels of a slice, in millimetres; None where unknown.

    Raises:
      UnreadableImageError: it cannot be read.
    """
    if is_nifti(path):
        return nifti_header(path).voxel
    spacing = dicom_header(path).place.spacing if is_dicom(path) else None
    return spacing and tuple(float(f"{size:.3g}") for size in spacing)


def holds_picture(path: Path) -> bool:
    """Whether such a file holds a picture, and is no report or plan; a broken one counts as one."""
    try:
        return volume_header(path).num_frames > 0
    except UnreadableImageError:
        return True


def is_frame(path: Path) -> bool:
    """Whether such a file may be one of the frames that a folder holds.

    Volumes of NIfTI are clips of their own, and so are other files of several frames.
    """
    if is_nifti(path):
        return False
    try:
        return volume_header(path).num_frames == 1
    except UnreadableImageError:
        return True


def in_series_order(paths: Sequence[Path]) -> list[Path]:
    """The frames of a folder: slices of DICOM by their places, others in the order given.

    Raises:
      UnreadableImageError: DICOM among other files, slices of several series, or see
        `order_of_slices`.
    """
    dicom = [path for path in paths if is_dicom(path)]
    if not dicom:
        return list(paths)
    if len(dicom) < len(paths):
        stray = next(path for path in paths if path not in dicom)
        raise UnreadableImageError(
            f"DICOM files, such as {shown(dicom[0].name)}, among others, such as"
            f" {shown(stray.name)}; a clip is made of one kind: move the others elsewhere"
        )
    headers = []
    for path in dicom:
        try:
            headers.append(dicom_header(path))
        except UnreadableImageError as error:
            raise UnreadableImageError(f"its frame {shown(path.name)}: {error}") from error
    names = [shown(path.name) for path in dicom]
    series = [header.series for header in headers]
    if len(set(series)) > 1:
        other = next(n for n, one in zip(names, series, strict=True) if one != series[0])
        raise UnreadableImageError(
            f"slices of {len(set(series))} series, such as {names[0]} and {other}"
            " (SeriesInstanceUID); put each series into a folder of its own"
        )
    return [dicom[number] for number in order_of_slices([h.place for h in headers], names)]
