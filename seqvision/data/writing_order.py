"""Writing from right to left: the order of a text's letters, as typed and as they stand.

A network reads columns from left to right, so it learns a text in visual order. The order is that
of the Unicode Bidirectional Algorithm (UAX #9); python-bidi has all of its rules but N0, that of
brackets.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

# Characters that only tell a direction. They leave no ink.
_MARKS = frozenset("\u061c\u200e\u200f")
_EMBEDDINGS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
# Brackets within brackets that are looked at, as UAX #9 has it.
_MOST_OPEN = 63
# Only few texts take a second step.
_MOST_STEPS = 8


class Placed(NamedTuple):
    """A character in the other order: its place in the first one, and how it looks there."""

    place: int
    symbol: str


def visual_order(text: str, direction: str = "auto") -> list[Placed]:
    """The characters of a text as they stand, from left to right.

    Brackets and the like are mirrored where they stand from right to left. Characters that only
    tell a direction are left out.

    Args:
      text: as typed.
      direction: of a text as a whole: `right_to_left`, `left_to_right`, or `auto`: that of its
        first letter. `as_typed` changes nothing.
    """
    if direction == "as_typed":
        return [Placed(place, symbol) for place, symbol in enumerate(text)]
    typed = [
        Placed(place, symbol) for place, symbol in enumerate(text) if symbol not in _EMBEDDINGS
    ]
    if not _has_right_to_left(text):
        return [placed for placed in typed if placed.symbol not in _MARKS]
    return _displayed(typed, _base_level(text, direction))


def typed_order(visual: Sequence[str], direction: str = "auto") -> list[Placed]:
    """The inverse of `visual_order`, of symbols from left to right.

    Several texts may look the same. It is one that looks like these symbols, if there is any, and
    begins with the direction of most of their letters, where `direction` is `auto`.
    """
    symbols = "".join(visual)
    if direction == "as_typed" or not _has_right_to_left(symbols):
        return [Placed(place, symbol) for place, symbol in enumerate(symbols)]
    kinds = [unicodedata.bidirectional(symbol) for symbol in symbols]
    mostly_right = kinds.count("R") + kinds.count("AL") >= kinds.count("L")
    bases = {"right_to_left": (1,), "left_to_right": (0,)}.get(direction, (1, 0))
    found = [_undone(symbols, base) for base in (bases if mostly_right else bases[::-1])]
    for typed in found:
        shown = visual_order("".join(symbol for _, symbol in typed), direction)
        if "".join(symbol for _, symbol in shown) == symbols:
            return typed
    return found[0]


def comes_back(text: str, direction: str = "auto") -> bool:
    """Whether `typed_order` makes the text of its look again, but for marks of direction."""
    if direction == "as_typed" or not _has_right_to_left(text):
        return True
    looks = [symbol for _, symbol in visual_order(text, direction)]
    typed = "".join(symbol for _, symbol in typed_order(looks, direction))
    return typed == "".join(symbol for symbol in text if symbol not in _MARKS | _EMBEDDINGS)


def _undone(visual: str, base: int) -> list[Placed]:
    """A text with that look: to display it once more gives a first guess, which is then mended."""
    typed = _displayed([Placed(place, symbol) for place, symbol in enumerate(visual)], base)
    for _ in range(_MOST_STEPS):
        shown = _displayed([Placed(n, symbol) for n, (_, symbol) in enumerate(typed)], base)
        if "".join(symbol for _, symbol in shown) == visual:
            break
        mended = list(typed)
        for place, (number, symbol) in enumerate(shown):
            mirrored = symbol != typed[number].symbol
            mended[number] = Placed(place, _mirror(visual[place]) if mirrored else visual[place])
        typed = mended
    return typed


def _displayed(typed: Sequence[Placed], base: int) -> list[Placed]:
    """UAX #9 of a text without embeddings, in a line of its own."""
    from bidi import algorithm

    storage: dict[str, Any] = algorithm.get_empty_storage()
    storage["base_level"], storage["base_dir"] = base, "LR"[base]
    for place, symbol in typed:
        kind = unicodedata.bidirectional(symbol) or "L"
        # Joiners stay where their letter is; python-bidi would drop them.
        kind = "NSM" if kind == "BN" else kind
        storage["chars"].append(
            {"ch": symbol, "level": base, "type": kind, "orig": kind, "place": place}
        )
    algorithm.calc_level_runs(storage)
    algorithm.resolve_weak_types(storage, False)
    _resolve_brackets(storage["chars"], "LR"[base])
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    algorithm.reorder_resolved_levels(storage, False)
    algorithm.apply_mirroring(storage, False)
    return [Placed(c["place"], c["ch"]) for c in storage["chars"] if c["ch"] not in _MARKS]


def _resolve_brackets(characters: list[dict[str, Any]], base: str) -> None:
    """Rule N0: two brackets have one direction, that of what is in them, or before them."""
    for begin, end in _bracket_pairs(characters):
        inside = {_strong(c["type"]) for c in characters[begin + 1 : end]} - {None}
        if not inside:
            continue
        direction = base
        if base not in inside:
            before = (_strong(c["type"]) for c in reversed(characters[:begin]))
            direction = next((kind for kind in before if kind), base)
        for at in (begin, end):
            characters[at]["type"] = direction
            for behind in characters[at + 1 :]:
                if behind["orig"] != "NSM":
                    break
                behind["type"] = direction


def _bracket_pairs(characters: list[dict[str, Any]]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    open_ones: list[tuple[str, int]] = []
    for at, character in enumerate(characters):
        symbol = character["ch"]
        kind = unicodedata.category(symbol) if character["type"] == "ON" else ""
        if kind not in ("Ps", "Pe") or not unicodedata.mirrored(symbol):
            continue
        if kind == "Ps":
            if len(open_ones) == _MOST_OPEN:
                break
            open_ones.append((_mirror(symbol), at))
            continue
        for depth in range(len(open_ones) - 1, -1, -1):
            if open_ones[depth][0] == symbol:
                pairs.append((open_ones[depth][1], at))
                del open_ones[depth:]
                break
    return sorted(pairs)


def _strong(kind: str) -> str | None:
    """The direction of a type; numbers count as from right to left."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind)


def _mirror(symbol: str) -> str:
    from bidi.mirror import MIRRORED

    return str(MIRRORED.get(symbol, symbol))


def _base_level(text: str, direction: str) -> int:
    if direction != "auto":
        return int(direction == "right_to_left")
    kinds = (unicodedata.bidirectional(symbol) for symbol in text)
    return int(next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L")


def _has_right_to_left(text: str) -> bool:
    """Whether anything in a text may stand from right to left."""
    return any(_is_right_to_left(symbol) for symbol in text)


@functools.cache
def _is_right_to_left(symbol: str) -> bool:
    return unicodedata.bidirectional(symbol) in ("R", "AL", "AN")
