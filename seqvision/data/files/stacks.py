"""Stacks in TIFF files: what their pages are, as ImageJ, OME and tifffile describe them."""

import json
import math
import re

from PIL import Image

from seqvision.data.files.opening import OR_TIFFFILE, TiffKindError, UnreadableImageError

_DESCRIPTION = 270
_SAMPLES_PER_PIXEL = 277
# tifffile takes the first of three axes for channels in its `imagej` and `ome` files.
_AS_FRAMES = ", or, if they are frames, name the axes (tifffile: metadata={'axes': 'TYX'})"
_OME_AXES = {"T": "frames", "Z": "slices", "C": "channels"}


def check_stack(opened: Image.Image) -> None:
    """Refuses a TIFF whose pages are no frames in a row.

    Sources: ImageJ's TiffDecoder (`images=`, `channels=`, `slices=`, `frames=` in the description;
    more images than pages follow the first one without pages of their own), the OME model (SizeT,
    SizeZ, SizeC), tifffile (`shape` as JSON).

    Raises:
      UnreadableImageError: its pages run along several axes, are channels, or are fewer than the
        images in it; the message names the axes.
    """
    if opened.format != "TIFF":
        return
    tags = getattr(opened, "tag_v2", {})
    axes = _axes(
        str(tags.get(_DESCRIPTION, "")), int(tags.get(_SAMPLES_PER_PIXEL, 1)), opened.size[::-1]
    )
    long = {name: size for name, size in axes.items() if size > 1}
    if not long:
        return
    described = " x ".join(f"{size} {name}" for name, size in long.items())
    if len(long) > 1 or "channels" in long:
        raise UnreadableImageError(
            f"a stack of {described}: the pages of a clip are its frames (or slices) alone; save"
            f" one file for each of the others{_AS_FRAMES * (list(long) == ['channels'])}"
        )
    if getattr(opened, "n_frames", 1) < math.prod(long.values()):
        raise TiffKindError(
            f"a stack of {described} with {getattr(opened, 'n_frames', 1)} page(s), so that the"
            f" others cannot be read; save it with a page for each{OR_TIFFFILE}",
            math.prod(long.values()),
        )


def _axes(description: str, samples: int, size: tuple[int, int]) -> dict[str, int]:
    """The sizes of the axes over the pages, by name; {} where nothing is known."""
    if description.startswith("ImageJ="):
        found = dict(re.findall(r"^(images|channels|slices|frames)=(\d+)\s*$", description, re.M))
        sizes = {name: int(size) for name, size in found.items()}
        images = sizes.pop("images", 1)
        return sizes if math.prod(sizes.values()) == images else {"images": images}
    if "<OME" in description:
        pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
        found = dict(re.findall(r'\bSize([TZC])="(\d+)"', pixels[0] if pixels else ""))
        axes = {_OME_AXES[axis]: int(found.get(axis, 1)) for axis in _OME_AXES}
        # Red, green and blue of one page.
        axes["channels"] = max(axes["channels"] // samples, 1)
        return axes
    if description.startswith("{"):
        try:
            shape = json.loads(description)["shape"]
            # Of one sample, an axis of 1 may follow height and width.
            last = 2 if samples == 1 and tuple(shape[-2:]) == size else 3
            rest = [int(n) for n in shape[:-last]]
        except (ValueError, KeyError, TypeError):
            return {}
        return {f"of axis {number}": size for number, size in enumerate(rest)}
    return {}
