"""Writing from right to left, against python-bidi's display by the Rust crate `unicode-bidi`."""

import random
import unicodedata
from pathlib import Path

import pytest
from bidi import get_display

from seqvision.data.alphabet import Alphabet, invisible_in
from seqvision.data.writing_order import comes_back, typed_order, visual_order
from tests.data.test_line_images import load, save, says, texts_of

# Typed, and as it stands from left to right: by hand.
LOOKS = {
    "שלום": "םולש",
    "abc": "abc",
    "שלום 123 עולם": "םלוע 123 םולש",
    "טל 03-12, דירה 5": "5 הריד ,03-12 לט",
    "מחיר (12.50) אב": "בא (12.50) ריחמ",  # The brackets are mirrored.
    "سعر 5-7": "7-5 رعس",
    "سعر ١٢٫٥": "١٢٫٥ رعس",  # noqa: RUF001
    "אב abc (def) גד": "דג abc (def) בא",
    "می\u200cشود": "دوش\u200cیم",  # A joiner stays.
    "50% הנחה!": "!החנה 50%",
}


def look(text: str, direction: str = "auto") -> str:
    return "".join(symbol for _, symbol in visual_order(text, direction))


def typed(looks: str, direction: str = "auto") -> str:
    return "".join(symbol for _, symbol in typed_order(looks, direction))


@pytest.mark.parametrize(("text", "looks"), LOOKS.items())
def test_texts_as_they_stand_and_back(text: str, looks: str) -> None:
    assert look(text) == looks
    assert typed(looks) == text
    assert comes_back(text)
    order = [place for place, _ in typed_order(looks)]
    assert sorted(order) == list(range(len(looks)))


def test_any_text_stands_as_the_reference_has_it() -> None:
    """All rules but mirroring, which the crate leaves to its caller: Unicode's own data there."""
    rng = random.Random(0)
    for _ in range(1500):
        symbols = "abאבגاب123٣٤ .,-+%()[]!:/\u0301"  # noqa: RUF001
        text = "".join(rng.choices(symbols, k=rng.randint(1, 14))).strip()
        for direction, base in (("auto", None), ("right_to_left", "R"), ("left_to_right", "L")):
            if not any(unicodedata.bidirectional(one) in ("R", "AL", "AN") for one in text):
                continue
            shown = visual_order(text, direction)
            assert "".join(text[p] for p, _ in shown) == get_display(text, base_dir=base), text
            for place, symbol in shown:
                assert symbol == text[place] or unicodedata.mirrored(symbol)


def test_a_direction_can_be_given() -> None:
    assert look("אב abc", "left_to_right") == "בא abc"
    assert typed("בא abc", "left_to_right") == "אב abc"
    assert look("אב abc") == "abc בא"
    assert look("אב", "as_typed") == typed("אב", "as_typed") == "אב"
    # Two texts have this look; the one that begins with most of its letters is read.
    assert look("abc שלום") == "abc םולש" == look("שלום abc")
    assert typed("abc םולש") == "שלום abc"
    assert not comes_back("abc שלום")


def test_marks_of_direction_leave_no_ink() -> None:
    assert look("\u202bאב\u202c\u200f") == "בא"
    assert look("a\u200eb") == "ab"
    assert comes_back("אב\u200f")


def test_own_lines_from_right_to_left(tmp_path: Path) -> None:
    texts = {"1.png": "שלום (12)", "2.png": "ab"}
    dataset = load(save(tmp_path, texts), direction="auto")
    alphabet = Alphabet(dataset.class_names, "auto")
    labels = dataset.split("train").arrays["labels"][0]
    assert texts_of(dataset)["1.png"] == "(12) םולש"  # As the ink stands.
    assert alphabet.decode(labels) == "שלום (12)"
    text, order = alphabet.read(labels)
    assert text == "שלום (12)" and order == [
        8,
        7,
        6,
        5,
        4,
        3,
        1,
        2,
        0,
    ]  # The brackets are mirrored.
    given = Alphabet(tuple("בא"), "auto")
    assert given.encode("אב").tolist() == [1, 2]
    says(lambda: given.encode("אבג"), "U+05D2")


def test_what_is_not_to_be_seen_is_named(tmp_path: Path) -> None:
    lines: list[str] = []
    save(tmp_path, {"1.png": "a\u00a0b", "2.png": "a\u200bb a\u00a0", "3.png": "e\u0301\u200d"})
    dataset = load(tmp_path, say=lines.append)
    assert lines == [
        f"{tmp_path}: symbols that are not to be seen: U+00A0 no-break space (1), U+200B zero width"
        " space (1); if they do not differ on paper, replace them in the texts"
    ]
    described = Alphabet(dataset.class_names).described()
    assert described.startswith("7 symbols:   a b '?' (U+00A0) é")
    assert "U+200B" in described and "U+200D" in described
    assert invisible_in(["a b", "\ufeff"]) == ["U+FEFF zero width no-break space (1)"]
