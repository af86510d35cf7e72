"""DICOM files: their headers, and their frames as pictures of physical values."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from seqvision.data.files.opening import UnreadableImageError, check_not_empty, reading
from seqvision.data.files.paths import shown
from seqvision.data.files.physical_values import check_size, picture
from seqvision.data.files.slice_order import Place, order_of_slices
from seqvision.errors import UserError
from seqvision.runtime.regular_file import regular

# PS3.10, section 7.1: four letters behind a preamble of 128 bytes.
_PREAMBLE, _MAGIC = 128, b"DICM"
_SUFFIXES = {".dcm", ".dicom", ".ima"}
_KEPT = 2**20
_GREY = ("MONOCHROME1", "MONOCHROME2")
_DECODERS = "python-gdcm (or pylibjpeg with pylibjpeg-openjpeg and pylibjpeg-libjpeg)"
# JPEG Extended, of 12 bits: python-gdcm 3.2.6 has no decoder for it that pydicom 3.0.2 takes.
_OF_12_BITS, _DECODERS_OF_12_BITS = "1.2.840.10008.1.2.4.51", "pylibjpeg pylibjpeg-libjpeg"


class DicomHeader(NamedTuple):
    """What is known of a file without its pixels.

    Attributes:
      num_frames: 0 where it holds no picture (a report, a plan, outlines).
      kind: see `Tones.kinds`; "" of colours.
      series: the UID of its series; "" where it names none.
      place: where a single frame lies.
    """

    num_frames: int
    height: int
    width: int
    kind: str
    series: str
    place: Place


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its suffix, or, where it has none or a number, by its start."""
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return True
    if path.name == "DICOMDIR" or not (suffix == "" or suffix[1:].isdigit()):
        return False
    try:
        with regular(path).open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == _MAGIC
    except (OSError, UserError, UnreadableImageError):
        return False


def dicom_header(path: Path) -> DicomHeader:
    """The header of a file, kept for those who ask again.

    Raises:
      UnreadableImageError: it is no DICOM file, or a damaged one.
      UserError: pydicom is not installed.
    """
    with reading():
        stat = path.stat()
        return _header(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=_KEPT)
def _header(path: Path, _size: int, _changed: int) -> DicomHeader:
    dataset = _dataset(path, stop_before_pixels=True)
    height, width = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    frames = int(dataset.get("NumberOfFrames") or 1) if height and width else 0
    series = str(dataset.get("SeriesInstanceUID") or "")
    number = dataset.get("InstanceNumber")
    place = Place(
        _numbers(dataset.get("ImagePositionPatient"), 3),
        _numbers(dataset.get("ImageOrientationPatient"), 6),
        _numbers(dataset.get("PixelSpacing"), 2),
        None if number is None else int(number),
    )
    return DicomHeader(frames, height, width, _kind(dataset), series, place)


def dicom_pictures(path: Path) -> list[Image.Image]:
    """The frames of a file: grey ones in physical values, colours as RGB of 8 bits.

    Grey values go through the modality LUT, or rescale slope and intercept (of each frame where it
    has its own), or the scaling of a dose grid. Those of MONOCHROME1 are marked as inverted.
    Padding (`PixelPaddingValue`) is NaN, or infinite where that is black.
    Colours are what pydicom makes of YBR and palettes; those of more than 8 bits are scaled by
    their depth. Slices of one file are ordered by their positions where each has one of its own.

    Raises:
      UnreadableImageError: it is no DICOM file, damaged, without pixels, or compressed in a way
        that no installed decoder reads.
      UserError: pydicom is not installed.
    """
    with reading():
        dataset = _dataset(path)
        header = dicom_header(path)
        if not header.num_frames:
            modality = dataset.get("Modality") or "unknown"
            raise UnreadableImageError(f"a DICOM file without a picture (modality {modality})")
        check_size(header.num_frames, header.height, header.width)
        array = _decoded(dataset)
        frames = array.reshape(header.num_frames, header.height, header.width, -1)
        photometric = str(dataset.PhotometricInterpretation)
        if photometric not in _GREY:
            return [Image.fromarray(frame) for frame in _colours(dataset, frames, photometric)]
        inverted = photometric == "MONOCHROME1"
        return [
            picture(
                _without_padding(dataset, frames[number, ..., 0], number), header.kind, inverted
            )
            for number in _frame_order(dataset, header.num_frames)
        ]


def _dataset(path: Path, **how: Any) -> Any:
    try:
        import pydicom
    except ImportError:
        raise UserError(
            f"{shown(path)}: a DICOM file; reading it needs pydicom: pip install"
            " 'seqvision[medical]', then run again"
        ) from None
    check_not_empty(path)
    try:
        return pydicom.dcmread(regular(path), **how)
    except pydicom.errors.InvalidDicomError:
        raise UnreadableImageError(
            "no DICOM file, or one without its preamble and header (PS3.10); export it again as a"
            " DICOM file"
        ) from None


def _decoded(dataset: Any) -> np.ndarray:
    from pydicom.pixels import get_decoder, pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return np.asarray(pixel_array(dataset))
    found = f"its pixels are compressed ({syntax.name})"
    decoders = _DECODERS_OF_12_BITS if syntax == _OF_12_BITS else _DECODERS
    hint = f"pip install {decoders}, or save it uncompressed, then run again"
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise UnreadableImageError(
            f"{found}, which pydicom does not decode; save it uncompressed"
        ) from None
    if not available:
        raise UnreadableImageError(f"{found}, and no decoder for that is installed: {hint}")
    try:
        return np.asarray(pixel_array(dataset))
    except RuntimeError:  # Of each decoder that tried, over several lines.
        raise UnreadableImageError(
            f"{found}, and no installed decoder reads it: it is damaged, or needs another: {hint}"
        ) from None


def _kind(dataset: Any) -> str:
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if photometric not in _GREY:
        return ""
    modality = str(dataset.get("Modality") or "DICOM")
    usual = {"CT": "HU", "RTDOSE": dataset.get("DoseUnits"), "PT": dataset.get("Units")}
    unit = dataset.get("RescaleType") or usual.get(modality) or ""
    unit = f" in {unit}" if unit and unit != "US" else ""  # "US": unspecified.
    sign = "signed" if dataset.get("PixelRepresentation") else "unsigned"
    return f"{modality}{unit}, {photometric}, {sign}"


def _colours(dataset: Any, frames: np.ndarray, photometric: str) -> np.ndarray:
    """uint8 (T, height, width, 3)."""
    from pydicom.pixels import apply_color_lut

    bits = int(dataset.BitsStored)
    if photometric == "PALETTE COLOR":
        frames = apply_color_lut(frames[..., 0], dataset)[..., :3]
        bits = frames.dtype.itemsize * 8
    if frames.shape[-1] != 3:
        raise UnreadableImageError(
            f"{frames.shape[-1]} values a pixel ({photometric}); one or three are read"
        )
    if frames.dtype == np.uint8:
        return frames
    return np.rint(frames * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)


def _physical(dataset: Any, stored: np.ndarray, number: int) -> np.ndarray:
    """Physical values of frame `number`: PS3.3, C.11.1, C.7.6.16.2.9 and C.8.8.3."""
    from pydicom.pixels import apply_modality_lut

    own = _of_frame(dataset, number, "PixelValueTransformationSequence")
    if own is not None and own.get("RescaleSlope") is not None:
        return stored * float(own.RescaleSlope) + float(own.RescaleIntercept)
    if dataset.get("DoseGridScaling"):
        return stored * float(dataset.DoseGridScaling)
    return np.asarray(apply_modality_lut(stored, dataset))


def _without_padding(dataset: Any, stored: np.ndarray, number: int) -> np.ndarray:
    """Physical values of a frame, and what becomes black where there is padding: PS3.3, C.7.5.1."""
    values = _physical(dataset, stored, number)
    # Whatever sign the file gives it, it has the bits of stored values.
    bounds = [
        np.array(int(value), np.int64).astype(stored.dtype)
        for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if isinstance(value := dataset.get(name), int)
    ]
    if not bounds or "PixelPaddingValue" not in dataset:
        return values
    padding = (stored >= min(bounds)) & (stored <= max(bounds))
    if not padding.any():
        return values
    black = np.inf if dataset.PhotometricInterpretation == "MONOCHROME1" else np.nan
    return np.where(padding, np.float32(black), values.astype(np.float32))


def _of_frame(dataset: Any, number: int, name: str) -> Any:
    """A functional group of a frame, its own or the shared one; None where there is none."""
    of_all = dataset.get("SharedFunctionalGroupsSequence") or []
    of_each = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (of_each[number : number + 1], of_all[:1]):
        if groups and groups[0].get(name):
            return groups[0][name].value[0]
    return None


def _frame_order(dataset: Any, count: int) -> list[int]:
    """Slices of an enhanced file by their positions; frames at equal places as they are stored."""
    places = []
    for number in range(count):
        position = _of_frame(dataset, number, "PlanePositionSequence")
        plane = _of_frame(dataset, number, "PlaneOrientationSequence")
        if position is None or plane is None:
            return list(range(count))
        at = _numbers(position.get("ImagePositionPatient"), 3)
        along = _numbers(plane.get("ImageOrientationPatient"), 6)
        places.append(Place(at, along, None, number))
    if len({place.position for place in places}) < count:
        return list(range(count))
    return order_of_slices(places, [f"frame {number + 1}" for number in range(count)])


def _numbers(found: Any, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(number) for number in found or ())
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None
