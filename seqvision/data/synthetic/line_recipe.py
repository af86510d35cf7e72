"""Recipe of lines of digits, and the three levels that figures are compared on."""

import dataclasses
import types
from collections.abc import Mapping

from seqvision.errors import UserError

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class DigitLines:
    """The look of lines. A range is (least, most), both included and all between equally likely.

    A line is symbols with their ink side by side; all lines are in pictures of one size, and what
    would stand beyond the picture's right margin is not written, nor in the label.

    Attributes:
      min_symbols, max_symbols: how many symbols a line has, spaces included.
      spaces: how probable a space is where one may stand: not first, not last, not after another.
      gap: columns between the ink of two neighbours in a word; negative where they overlap, which
        is never by more than half of the narrower one. Where ink lies on ink the brighter counts.
      word_gap: columns of a space, more than any `gap`.
      margin: columns before the first and after the last symbol.
      scale: of each symbol; 1 is the size in the source.
      slant: columns to the right for each row up; one for a whole line.
      shift: rows that each symbol stands lower than the others, or higher where negative.
      thickness: of a whole line's strokes: 0 as in the source, 1 a pixel more on all sides, -1 a
        pixel less; between them a mixture.
      noise: standard deviation of the noise of a line's pixels, as a fraction of 255.
      height, width: of the picture.

    Raises:
      UserError: fields that make no lines.
    """

    min_symbols: int
    max_symbols: int
    spaces: float
    gap: tuple[int, int]
    word_gap: tuple[int, int]
    margin: tuple[int, int]
    scale: Range
    slant: Range
    shift: Range
    thickness: Range
    noise: Range
    height: int = 32
    width: int = 400

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise UserError(f"recipe.{field.name}: {value} ends before it begins; swap the two")
        thinnest, thickest = self.thickness
        wrong = {
            "min_symbols": (
                not 1 <= self.min_symbols <= self.max_symbols,
                f"is not from 1 to max_symbols ({self.max_symbols}); choose such a number",
            ),
            "spaces": (not 0 <= self.spaces <= 1, "is no probability; choose 0 to 1"),
            "word_gap": (
                self.word_gap[0] <= max(0, self.gap[1]),
                f"has spaces no wider than recipe.gap {self.gap}; they could not be told apart: let"
                f" it begin above {self.gap[1]}",
            ),
            "margin": (self.margin[0] < 0, "begins below 0; choose 0 or more"),
            "scale": (
                self.scale[0] < 0.25,
                "begins below 0.25, where digits are no longer readable; choose more",
            ),
            "thickness": (
                not -1 < thinnest <= thickest <= 1,
                "is not above -1, where thin strokes vanish, and up to 1; choose a range there",
            ),
            "noise": (self.noise[0] < 0, "begins below 0; choose 0 or more"),
        }
        for name, (is_wrong, reason) in wrong.items():
            if is_wrong:
                raise UserError(f"recipe.{name}: {getattr(self, name)} {reason}")


_CLEAN = DigitLines(
    min_symbols=1,
    max_symbols=20,
    spaces=0.2,
    gap=(2, 5),
    word_gap=(10, 18),
    margin=(2, 6),
    scale=(1.0, 1.0),
    slant=(0.0, 0.0),
    shift=(0.0, 0.0),
    thickness=(0.0, 0.0),
    noise=(0.0, 0.0),
)
_NATURAL = dataclasses.replace(
    _CLEAN,
    gap=(-2, 5),
    word_gap=(8, 18),
    scale=(0.8, 1.1),
    slant=(-0.15, 0.3),
    shift=(-1.5, 1.5),
    thickness=(-0.4, 0.6),
    noise=(0.0, 0.03),
)
_HARD = dataclasses.replace(
    _NATURAL,
    gap=(-6, 4),
    word_gap=(6, 18),
    scale=(0.7, 1.1),
    slant=(-0.3, 0.5),
    shift=(-3.0, 3.0),
    thickness=(-0.7, 1.0),
    noise=(0.0, 0.12),
)
# They stay as they are, so that figures can be compared: other lines get another name. Lines of
# just ten symbols, say, are `dataclasses.replace(LEVELS["clean"], min_symbols=10, max_symbols=10)`.
LEVELS: Mapping[str, DigitLines] = types.MappingProxyType(
    {"clean": _CLEAN, "natural": _NATURAL, "hard": _HARD}
)
