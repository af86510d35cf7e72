"""Order of the slices of a volume, by where they lie in the patient."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqvision.data.files.opening import UnreadableImageError

# Of the usual distance between neighbours: what a missing slice leaves, and what is no distance.
_GAP, _SAME = 1.5, 0.01
# Of unit vectors, which files keep with some digits.
_ANGLE = 1e-2


class Place(NamedTuple):
    """Where a slice lies (DICOM PS3.3, C.7.6.2), None where its file does not say.

    Attributes:
      position: of its first pixel, in millimetres: to the patient's left, back and head.
      orientation: directions of its rows and of its columns, unit vectors.
      spacing: millimetres from row to row, and from column to column.
      number: its number in the series.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    number: int | None


def order_of_slices(places: Sequence[Place], names: Sequence[str]) -> list[int]:
    """The order in which slices follow each other along the normal of their plane.

    The normal is the direction of the rows times that of the columns: of axial slices as they are
    usually stored, towards the head. Frames that all lie at one place (a film of one slice), and
    slices without positions, go by their instance numbers, and without these as they come.

    Args:
      places: of the slices.
      names: for errors.

    Raises:
      UnreadableImageError: slices are missing, or lie at one place, have different orientations or
        pixel sizes, or directions that are not at right angles.
    """
    _check_spacing(places, names)
    known = [place.position is not None and place.orientation is not None for place in places]
    if any(known) and not all(known):
        with_it, without = names[known.index(True)], names[known.index(False)]
        raise UnreadableImageError(
            f"slice {with_it} has a position and {without} has none; take out those of one kind"
        )
    if len(places) < 2 or not all(known):
        return _by_number(places)
    _check_orientation(places, names)
    row, column = _directions(places[0])
    positions = np.array([place.position for place in places], np.float64)
    along = positions @ np.cross(row, column)
    if np.ptp(positions, axis=0).max() == 0:
        return _by_number(places)
    order = np.argsort(along, kind="stable").tolist()
    _check_gaps(along[order], [names[number] for number in order])
    return order


def _by_number(places: Sequence[Place]) -> list[int]:
    order = list(range(len(places)))
    if any(place.number is None for place in places):
        return order
    return sorted(order, key=lambda one: places[one].number or 0)


def _check_spacing(places: Sequence[Place], names: Sequence[str]) -> None:
    for place, name in zip(places, names, strict=True):
        first = places[0].spacing
        if place.spacing != first and not (
            place.spacing and first and np.allclose(place.spacing, first, rtol=1e-2)
        ):
            raise UnreadableImageError(
                f"its slices have pixels of different sizes: {names[0]} {_millimetres(first)},"
                f" {name} {_millimetres(place.spacing)}; put each kind into a folder of its own"
            )


def _millimetres(spacing: tuple[float, ...] | None) -> str:
    return f"{spacing[0]:g} x {spacing[1]:g} mm" if spacing else "of no stated size"


def _check_orientation(places: Sequence[Place], names: Sequence[str]) -> None:
    first = _directions(places[0])
    for place, name in zip(places, names, strict=True):
        own = _directions(place)
        if np.abs(own @ own.T - np.eye(2)).max() > _ANGLE:
            raise UnreadableImageError(
                f"slice {name} contradicts itself: its rows and columns, along {_vector(own[0])}"
                f" and {_vector(own[1])}, are no unit vectors at right angles; repair its"
                " ImageOrientationPatient"
            )
        if np.abs(own - first).max() > _ANGLE:
            raise UnreadableImageError(
                f"its slices have different orientations, such as {names[0]} and {name}: an"
                " overview or another series; put each kind into a folder of its own"
            )


def _directions(place: Place) -> np.ndarray:
    return np.array(place.orientation, np.float64).reshape(2, 3)


def _vector(numbers: np.ndarray) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})"


def _check_gaps(along: np.ndarray, names: Sequence[str]) -> None:
    steps = np.diff(along)
    usual = float(np.median(steps))
    for number, step in enumerate(steps):
        between = f"{names[number]} and {names[number + 1]}"
        if step <= _SAME * max(usual, 1e-3):
            raise UnreadableImageError(
                f"two slices at one place, {between}: several times or acquisitions; put each into"
                " a folder of its own"
            )
        if step > _GAP * usual:
            raise UnreadableImageError(
                f"slices are missing: {between} lie {step:g} mm apart, and others {usual:g} mm; add"
                " them, or, if it is meant, save the slices as .npy or numbered PNG files"
            )
