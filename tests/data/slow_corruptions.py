"""Corruptions as plain Python loops over one example, with exact fractions."""

import math
from fractions import Fraction

import jax
import numpy as np

PLACES = ("drop", "repeat", "swap", "delay", "gain_drift", "noise", "shift", "occlusion")
MOVING = PLACES[:4]


def words_of(seed: int, name: str, number: int, count: int) -> np.ndarray:
    """The random words of an example, from its seed, its corruption and its number alone."""
    key = jax.random.key(seed)
    for part in (4, number, PLACES.index(name)):
        key = jax.random.fold_in(key, part)
    return np.asarray(jax.random.bits(key, (count,)))


def part_of(strength: int, number: int) -> int:
    return math.ceil(Fraction(strength, 1000) * number)


def smallest(words: np.ndarray, number: int, count: int) -> set[int]:
    ranked = sorted(range(number), key=lambda place: (int(words[place]), place))
    return set(ranked[:count])


def sources(name: str, words: np.ndarray, length: int, strength: int) -> list[int]:
    """The steps in their new order, -1 for an empty one."""
    part = part_of(strength, length)
    if name == "drop":
        lost = smallest(words[1:], length, min(part, length - 1))
        return [step for step in range(length) if step not in lost]
    if name == "repeat":
        twice = smallest(words[1:], length, part)
        return [step for step in range(length) for _ in range(1 + (step in twice))]
    if name == "swap":
        pairs = [(step, step + 1) for step in range(int(words[0]) % 2, length - 1, 2)]
        steps = list(range(length))
        for pair in smallest(words[1:], len(pairs), part_of(strength, len(pairs))):
            one, other = pairs[pair]
            steps[one], steps[other] = steps[other], steps[one]
        return steps
    start = int(words[0]) % length
    return [*range(start), *[-1] * part, *range(start, length)]


def moved(
    name: str, words: np.ndarray, steps: np.ndarray, length: int, strength: int
) -> np.ndarray:
    """The steps (n, ...) that then come; what follows them is padding."""
    order = sources(name, words, length, strength)
    return np.array([steps[step] if step >= 0 else np.zeros_like(steps[0]) for step in order])


def rounded(value: Fraction) -> int:
    return min(max(math.floor(value + Fraction(1, 2)), 0), 255)


def drifted(words: np.ndarray, steps: np.ndarray, length: int, strength: int) -> np.ndarray:
    sign = -1 if int(words[0]) % 2 else 1
    changed = np.zeros_like(steps)
    for place in np.ndindex(steps.shape):
        if place[0] < length:
            drift = math.floor(Fraction(sign * strength * place[0], max(length - 1, 1)))
            changed[place] = rounded(int(steps[place]) * (1 + Fraction(drift, 1000)))
    return changed


def noisy(words: np.ndarray, steps: np.ndarray, length: int, strength: int) -> np.ndarray:
    """A sum of four bytes has a standard deviation of sqrt(4 (256^2 - 1) / 12) = 147.8."""
    unit = round(0.001 * 255 * 2**16 / math.sqrt(4 * (256**2 - 1) / 12))
    changed = np.zeros_like(steps)
    for place in np.ndindex(steps.shape):
        if place[0] < length:
            total = sum(int(words[place]).to_bytes(4, "little")) - 510
            changed[place] = rounded(int(steps[place]) + Fraction(total * unit * strength, 2**16))
    return changed


def shifted(words: np.ndarray, image: np.ndarray, axes: list[int], strength: int) -> np.ndarray:
    """An image (height, width, channels); axes 0 and 1."""
    by = [0, 0]
    for word, axis in zip(words, axes, strict=False):
        by[axis] = (-1 if int(word) % 2 else 1) * part_of(strength, image.shape[axis])
    changed = np.zeros_like(image)
    for row, column in np.ndindex(image.shape[:2]):
        at = row + by[0], column + by[1]
        if 0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1]:
            changed[at] = image[row, column]
    return changed


def occluded(words: np.ndarray, image: np.ndarray, width: int, strength: int) -> np.ndarray:
    side = part_of(strength, min(image.shape[0], width))
    top = int(words[0]) % (image.shape[0] - side + 1)
    left = int(words[1]) % (width - side + 1)
    changed = image.copy()
    changed[top : top + side, left : left + side] = 0
    return changed
