"""The symbols that can be read, and their class numbers."""

import collections
import dataclasses
import unicodedata
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from jaxtyping import Int32

from seqvision.data.files.paths import few, shown
from seqvision.data.writing_order import Placed, typed_order, visual_order
from seqvision.errors import UserError

BLANK = 0

Numbers = Int32[np.ndarray, "symbols"]


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """Symbols and their class numbers, 1 to K; 0 is the blank of CTC.

    A symbol is one Unicode character. Texts are brought into the normal form NFC first, so that é
    is one symbol, whether it was typed as one character or as e and an accent; a mark that NFC
    leaves alone is a symbol of its own. Space is a symbol like the others, where it is in use.

    Attributes:
      symbols: all different; number 1 comes first.
      direction: class numbers are in the order in which symbols stand from left to right, texts in
        that in which they are typed; see `writing_order`. `as_typed`: both are the same.

    Raises:
      UserError: no symbols, one that is there twice, is more than one character, changes in NFC or
        is a control character.
    """

    symbols: tuple[str, ...]
    direction: str = "as_typed"

    def __post_init__(self) -> None:
        if not self.symbols:
            raise UserError("alphabet: it has no symbols; name at least one")
        for place, symbol in enumerate(self.symbols):
            if len(symbol) != 1 or unicodedata.normalize("NFC", symbol) != symbol:
                wrong = "is not one character in the normal form NFC; write each symbol as one"
            elif unicodedata.category(symbol) == "Cc":
                wrong = "is a control character; leave it out"
            elif symbol in self.symbols[:place]:
                wrong = "is there twice; name it once"
            else:
                continue
            raise UserError(f"alphabet: {named(symbol)} {wrong}")

    @classmethod
    def of_texts(cls, texts: Iterable[str], direction: str = "as_typed") -> "Alphabet":
        """The symbols of these texts as they look, in the order of their code points.

        Raises:
          UserError: no symbols, or control characters.
        """
        symbols = {placed.symbol for text in texts for placed in _placed(text, direction)}
        return cls(tuple(sorted(symbols)), direction)

    def __len__(self) -> int:
        """K: how many symbols there are, without the blank."""
        return len(self.symbols)

    def encode(self, text: str) -> Numbers:
        """Class numbers of a text, one for each of its symbols.

        Raises:
          UserError: a symbol that the alphabet lacks.
        """
        symbols = [placed.symbol for placed in _placed(text, self.direction)]
        for symbol in symbols:
            if symbol not in self._numbers:
                raise UserError(
                    f"'{shown(text)}': its symbol {named(symbol)} is not in the alphabet, which has"
                    f" {few([f'{one!r}' for one in self.symbols], 12)}; correct the text or extend"
                    " the alphabet"
                )
        return np.array([self._numbers[symbol] for symbol in symbols], np.int32)

    def decode(self, numbers: Numbers) -> str:
        """The text of class numbers; zeros, which are blanks or padding, say nothing.

        Raises:
          ValueError: a number is negative or larger than K.
        """
        return self.read(numbers[numbers != BLANK])[0]

    def read(self, numbers: Numbers) -> tuple[str, list[int]]:
        """The text of N class numbers from 1, and which of them each of its N symbols is.

        Raises:
          ValueError: a number is negative or larger than K.
        """
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() <= len(self):
            raise ValueError(f"class numbers are 0 to {len(self)}, not {numbers}")
        looks = [self.symbols[number - 1] for number in numbers.tolist()]
        typed = typed_order(looks, self.direction)
        return "".join(symbol for _, symbol in typed), [place for place, _ in typed]

    def text(self, looks: Iterable[str]) -> str:
        """Symbols from left to right as the text that is typed, without spaces at its ends."""
        return "".join(symbol for _, symbol in typed_order(list(looks), self.direction)).strip(" ")

    def trimmed(self, numbers: Numbers) -> slice:
        """The class numbers without spaces at both ends, which no text has."""
        space = self._numbers.get(" ")
        inner = np.flatnonzero(numbers != space)
        return slice(int(inner[0]), int(inner[-1]) + 1) if len(inner) else slice(0)

    def described(self) -> str:
        """How many symbols there are, and the first; invisible ones by their code points."""
        names = [named(one) if is_invisible(one) else shown(one) for one in self.symbols]
        return f"{len(names)} symbols: {few(names, 100, ' ')}"

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols, start=1)}


def normalized(text: str) -> str:
    """A text in the normal form NFC."""
    return unicodedata.normalize("NFC", text)


def _placed(text: str, direction: str) -> list[Placed]:
    return visual_order(normalized(text), direction)


def named(symbol: str) -> str:
    """A symbol with its code points, since many look alike or like nothing."""
    return f"'{shown(symbol)}' ({' '.join(f'U+{ord(character):04X}' for character in symbol)})"


def is_invisible(symbol: str) -> bool:
    """Whether it leaves no ink of its own, or joins that before it; the space is known."""
    return symbol != " " and unicodedata.category(symbol) in ("Zs", "Zl", "Zp", "Cf", "Mn", "Cn")


def invisible_in(texts: Iterable[str]) -> list[str]:
    """Characters without ink in these texts, each with code point and name, and how often it is."""
    counts = collections.Counter(s for t in texts for s in t if is_invisible(s) and not _joins(s))
    return [
        f"U+{ord(symbol):04X} {unicodedata.name(symbol, 'without a name').lower()} ({count})"
        for symbol, count in sorted(counts.items())
    ]


def _joins(symbol: str) -> bool:
    """Accents and joiners change the ink of their letter."""
    return unicodedata.category(symbol) == "Mn" or symbol in "\u200c\u200d"
