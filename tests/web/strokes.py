"""Digits of a data set as strokes of a pen: their ink thinned to lines, and the lines followed."""

import numpy as np

Stroke = list[tuple[float, float]]
_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def thinned(ink: np.ndarray) -> np.ndarray:
    """The middle of the ink, one pixel thick (Zhang and Suen, 1984)."""
    ink = np.pad(ink, 1)
    while True:
        before = ink.copy()
        for phase in (0, 1):
            around = np.array([np.roll(ink, (-y, -x), (0, 1)) for y, x in _AROUND])
            count = around.sum(0)
            begins = (~around & np.roll(around, -1, 0)).sum(0)
            north, east, south, west = around[::2]
            if phase == 0:
                keeps = (north & east & south) | (east & south & west)
            else:
                keeps = (north & east & west) | (north & south & west)
            ink = ink & ~((count >= 2) & (count <= 6) & (begins == 1) & ~keeps)
        if (before == ink).all():
            return ink[1:-1, 1:-1]


def strokes(image: np.ndarray) -> list[Stroke]:
    """Strokes as points (x, y) in pixels, from left to right, of an image (height, width)."""
    points = {(int(x), int(y)) for y, x in np.argwhere(thinned(image > 100))}
    found, links = [], set()
    for x, y in sorted(points):
        for dy, dx in ((1, 0), (0, 1), (1, 1), (-1, 1)):
            other = (x + dx, y + dy)
            corner = dx and dy and ({(x + dx, y), (x, y + dy)} & points)
            if other in points and not corner:
                links.add(((x, y), other))
    lone = points - {point for link in links for point in link}
    while links:
        link = min(links)
        links.remove(link)
        line = list(link)
        while ahead := [one for one in links if line[-1] in one]:
            links.remove(ahead[0])
            line.append(ahead[0][1] if ahead[0][0] == line[-1] else ahead[0][0])
        found.append(line)
    found += [[point] for point in sorted(lone)]
    return [[(x + 0.5, y + 0.5) for x, y in line] for line in found]


def line_of(images: list[np.ndarray], top: float, gap: float = 4.0) -> list[list[Stroke]]:
    """Each digit's strokes, the digits side by side, their ink `gap` columns apart."""
    placed, at = [], gap
    for image in images:
        columns = np.flatnonzero((image > 100).any(0))
        shift = at - columns[0]
        placed.append([[(x + shift, y + top) for x, y in line] for line in strokes(image)])
        at += columns[-1] - columns[0] + 1 + gap
    return placed
