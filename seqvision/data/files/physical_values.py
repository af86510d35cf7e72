"""Pictures of physical values: of DICOM, NIfTI and numpy files, as the decoders hand them on."""

import numpy as np
from PIL import Image

from seqvision.data.files.opening import MOST_BYTES, UnreadableImageError

NO_UNIT = "pictures without a unit"
"""The kind of deep pictures whose files say nothing about it."""
_KIND, _INVERTED = "kind of seqvision", "inverted of seqvision"


def picture(values: np.ndarray, kind: str, inverted: bool = False) -> Image.Image:
    """Grey values (height, width) of any real type as a deep picture.

    Whole numbers of up to 32 bits stay what they are; all others become float32.

    Args:
      values: physical, such as Hounsfield units.
      kind: see `Tones.kinds`.
      inverted: whether the smallest value is white.
    """
    wider = (np.uint16, np.int32, np.float32) if values.dtype.kind in "biu" else ()
    kept = next((one for one in wider if np.can_cast(values.dtype, one)), np.float32)
    image = Image.fromarray(np.ascontiguousarray(values, kept))
    image.info |= {_KIND: kind, _INVERTED: inverted}
    return image


def is_inverted(image: Image.Image) -> bool:
    """Whether the smallest value of a picture is white."""
    return bool(image.info.get(_INVERTED))


def kind_of_values(image: Image.Image) -> str:
    """See `picture`; "" of other pictures."""
    return str(image.info.get(_KIND, ""))


def check_size(frames: int, height: int, width: int) -> None:
    """Raises UnreadableImageError where pictures are empty, or more than MOST_BYTES as colours."""
    found = f"{frames} frame(s) of {height} x {width} (height x width)"
    if 0 in (frames, height, width):
        raise UnreadableImageError(f"nothing in it: {found}")
    if frames * height * width * 3 > MOST_BYTES:
        raise UnreadableImageError(
            f"longer than {MOST_BYTES / 2**30:g} GiB: {found}; cut it, or make it smaller"
        )
