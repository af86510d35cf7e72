"""Lines of one's own: their alphabet, their images, their table; and what is wrong with them."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import Dataset
from seqvision.data.sources.line_images import LineSplit, load_lines
from seqvision.data.sources.loading import Loading
from seqvision.errors import UserError
from seqvision.tasks.losses import is_feasible
from seqvision.tasks.reading import TextReading
from tests.data.making import says

ALPHABET = Alphabet(("a", "é", "ß", "右", " "))


# --- the alphabet ---


def test_texts_become_numbers_and_texts_again() -> None:
    assert len(ALPHABET) == 5
    assert ALPHABET.encode("aé 右ß").tolist() == [1, 2, 5, 4, 3]
    assert ALPHABET.encode("").tolist() == []
    assert ALPHABET.encode("a").dtype == np.int32
    assert ALPHABET.decode(np.array([1, 2, 5, 4, 3, 0, 0], np.int32)) == "aé 右ß"
    assert ALPHABET.decode(np.array([], np.int32)) == ""
    for number in (-1, 6):
        with pytest.raises(ValueError, match="class numbers are 0 to 5"):
            ALPHABET.decode(np.array([number], np.int32))


def test_texts_are_taken_in_their_normal_form() -> None:
    typed = unicodedata.normalize("NFD", "é")
    assert len(typed) == 2
    assert ALPHABET.encode(f"a{typed}").tolist() == [1, 2]
    assert Alphabet.of_texts([typed, "é"]).symbols == ("é",)
    # NFC has no single character for this one, so its mark is a symbol of its own.
    assert Alphabet.of_texts(["m\u0303"]).symbols == ("m", "\u0303")


def test_alphabet_of_texts_is_in_the_order_of_code_points() -> None:
    assert Alphabet.of_texts(["b a", "右", "Ab"]).symbols == (" ", "A", "a", "b", "右")
    assert Alphabet.of_texts(iter(["ba", "ab"])) == Alphabet(("a", "b"))


@pytest.mark.parametrize(
    ("symbols", "parts"),
    [
        ((), ("no symbols",)),
        (("a", "b", "a"), ("'a' (U+0061) is there twice",)),
        (("ab",), ("'ab' (U+0061 U+0062) is not one character",)),
        (("",), ("is not one character",)),
        (("e\u0301",), ("U+0065 U+0301", "NFC")),
        (("\u212b",), ("U+212B", "NFC")),  # The Ångström sign becomes the letter Å.
        (("a", "\n"), ("'?' (U+000A) is a control character",)),
        (("\x7f",), ("U+007F", "control")),
    ],
)
def test_impossible_alphabets(symbols: tuple[str, ...], parts: tuple[str, ...]) -> None:
    says(lambda: Alphabet(symbols), "alphabet: ", *parts)


def test_an_unknown_symbol_is_named_with_its_code_point() -> None:
    # A Cyrillic letter that looks like a Latin a.
    says(lambda: ALPHABET.encode("a\u0430"), "'a\u0430'", "(U+0430)", "which has 'a', 'é'")
    many = Alphabet(tuple("abcdefghijklmnop"))
    says(lambda: many.encode("x"), "'l' and 4 more")
    says(lambda: Alphabet.of_texts(["a\tb"]), "U+0009")


# --- good folders ---


def picture(seed: int, height: int = 20, width: int = 60) -> np.ndarray:
    """Dark strokes on white paper."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width), 255, np.uint8)
    pixels[3:-3, 4:-4] = np.where(rng.uniform(size=(height - 6, width - 8)) < 0.4, 0, 255)
    return pixels


def save(path: Path, lines: dict[str, str], table: str = "labels.tsv", **sizes: int) -> Path:
    """A folder of lines; the same name has the same picture."""
    (path / "images").mkdir(parents=True, exist_ok=True)
    for name in lines:
        seed = sum(map(ord, unicodedata.normalize("NFC", name)))
        Image.fromarray(picture(seed, **sizes)).save(path / "images" / name)
    rows = "".join(f"{name}\t{text}\n" for name, text in lines.items())
    (path / table).write_text(rows, encoding="utf-8")
    return path


def load(path: Path, **options: Any) -> Dataset:
    fractions = {name: options.pop(name, 0.0) for name in ("validation_fraction", "test_fraction")}
    loading = Loading(**fractions, say=options.pop("say", print))
    return load_lines(path, loading, **({"max_columns": 400} | options))


def lines_of(dataset: Dataset, split: str = "train") -> LineSplit:
    found = dataset.split(split)
    assert isinstance(found, LineSplit)
    return found


def texts_of(dataset: Dataset, split: str = "train") -> dict[str, str]:
    lines, alphabet = lines_of(dataset, split), Alphabet(dataset.class_names)
    texts = [
        alphabet.decode(labels[:length])
        for labels, length in zip(lines.labels, lines.label_lengths, strict=True)
    ]
    return dict(zip(lines.names, texts, strict=True))


TEXTS = {"1.png": "été", "2.png": "右 左", "10.png": "a  b"}


def test_a_good_folder(tmp_path: Path) -> None:
    dataset = load(save(tmp_path / "mine", TEXTS), height=20)
    assert dataset.name == "mine"
    assert dataset.class_names == (" ", "a", "b", "t", "é", "右", "左")
    assert dataset.input_shape == (20, 60, 1)
    assert texts_of(dataset) == TEXTS
    lines = lines_of(dataset)
    assert lines.lengths.tolist() == [60] * 3
    for name, pixels in zip(lines.names, lines.inputs, strict=True):
        # Light ink on dark.
        np.testing.assert_array_equal(pixels[..., 0], 255 - picture(sum(map(ord, name))))
    taken = LineSplit.take(lines.arrays, np.array([2, 0]))
    np.testing.assert_array_equal(taken["inputs"], lines.inputs[[2, 0]])
    assert taken["labels"].tolist() == lines.labels[[2, 0]].tolist()
    assert dataset.fingerprints == {"train": lines.fingerprint()}


def test_heights_become_equal(tmp_path: Path) -> None:
    save(tmp_path, {"large.png": "a"}, height=64, width=120)
    save(tmp_path, {"small.png": "a"}, height=16, width=30)
    save(tmp_path, {"same.png": "a"}, height=32, width=41)
    (tmp_path / "labels.tsv").write_text("large.png\ta\nsmall.png\tb\nsame.png\tab\n")
    lines = lines_of(load(tmp_path))
    assert lines.inputs.shape == (3, 32, 60, 1)
    assert lines.lengths.tolist() == [60, 60, 41]
    assert not lines.inputs[2, :, 41:].any()
    ink = 255 - picture(sum(map(ord, "same.png")), 32, 41)
    np.testing.assert_array_equal(lines.inputs[2, :, :41, 0], ink)
    # Half the size: each pixel is about the mean of four.
    small = 255.0 - picture(sum(map(ord, "large.png")), 64, 120)
    small = small.reshape(32, 2, 60, 2).mean(axis=(1, 3))
    assert np.corrcoef(lines.inputs[0, ..., 0].ravel(), small.ravel())[0, 1] > 0.9


def test_ink_may_touch_the_border(tmp_path: Path) -> None:
    save(tmp_path, {"a.png": "a"})
    pixels = np.full((32, 50), 255, np.uint8)
    pixels[:, 0] = pixels[0, 10:30] = pixels[-1, 20:25] = pixels[5:9, -1] = 0
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    np.testing.assert_array_equal(lines_of(load(tmp_path)).inputs[0, ..., 0], 255 - pixels)


def test_names_and_texts_as_macos_writes_them(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é.png")
    save(tmp_path, {decomposed: "x"})
    for name in (decomposed, "é.png"):
        text = f"\ufeff{name}\t {unicodedata.normalize('NFD', 'été')} \r\n\r\n"
        (tmp_path / "labels.tsv").write_text(text, encoding="utf-8")
        assert texts_of(load(tmp_path)) == {"é.png": "été"}


def test_splits_that_are_given(tmp_path: Path) -> None:
    save(tmp_path, {"a.png": "ab", "b.png": "b"}, "labels.train.tsv")
    save(tmp_path, {"c.png": "cccc"}, "labels.validation.tsv")
    save(tmp_path, {"d.png": "d"}, "labels.test.tsv", width=90)
    # Fractions are for splits that are not given.
    dataset = load(tmp_path, validation_fraction=0.5, test_fraction=0.5, height=20)
    assert list(dataset.splits) == ["train", "validation", "test"]
    assert {split: texts_of(dataset, split) for split in dataset.splits} == {
        "train": {"a.png": "ab", "b.png": "b"},
        "validation": {"c.png": "cccc"},
        "test": {"d.png": "d"},
    }
    # All splits share one alphabet and one size.
    assert dataset.class_names == ("a", "b", "c", "d")
    for split in dataset.splits:
        assert lines_of(dataset, split).inputs.shape[1:] == (20, 90, 1)
        assert lines_of(dataset, split).labels.shape[1] == 4


def test_splits_that_are_cut(tmp_path: Path) -> None:
    lines = {f"{number}.png": "a" for number in range(60)}
    fractions = {"validation_fraction": 0.2, "test_fraction": 0.3}
    dataset = load(save(tmp_path / "all", lines), **fractions)
    names = {split: set(lines_of(dataset, split).names) for split in dataset.splits}
    assert set.union(*names.values()) == set(lines)
    assert sum(map(len, names.values())) == 60
    assert all(names.values())
    # The cut follows the content: a part of the lines, under other names, stays where it was.
    part = dict.fromkeys(list(lines)[::2], "b")
    again = load(save(tmp_path / "part", part), **fractions)
    for split in again.splits:
        assert set(lines_of(again, split).names) == names[split] & set(part)
    with pytest.raises(UserError, match=r"all its 60 lines are held out|left none for"):
        load(tmp_path / "all", validation_fraction=0.001, test_fraction=0.999)


def test_an_alphabet_that_is_given(tmp_path: Path) -> None:
    save(tmp_path, {"a.png": "ab"}, "labels.train.tsv")
    save(tmp_path, {"b.png": "ac"}, "labels.test.tsv")
    given = Alphabet(tuple("cbaz"))
    dataset = load(tmp_path, alphabet=given)
    assert dataset.class_names == given.symbols
    assert lines_of(dataset).labels.tolist() == [[3, 2]]
    says(
        lambda: load(tmp_path, alphabet=Alphabet(("a", "b"))),
        "labels.test.tsv: row 1",
        "'c' (U+0063) is not in the alphabet",
    )


# --- what is wrong with a folder ---


Change = Callable[[Path], object]


def table(old: str, new: str, encoding: str = "utf-8") -> Change:
    """The table with another text in it."""

    def change(path: Path) -> None:
        rows = (path / "labels.tsv").read_text()
        assert old in rows
        (path / "labels.tsv").write_bytes(rows.replace(old, new).encode(encoding))

    return change


def image(pixels: np.ndarray) -> Change:
    return lambda path: Image.fromarray(pixels).save(path / "images" / "2.png")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda path: (path / "images").rename(path / "image"), ("images: no such folder",)),
        (lambda path: (path / "labels.tsv").unlink(), ("labels.tsv: no such file; write a row",)),
        (
            lambda path: (path / "labels.tsv").rename(path / "labels.test.tsv"),
            ("labels.train.tsv: no such file",),
        ),
        (
            lambda path: (path / "labels.train.tsv").write_text("1.png\tx\n"),
            ("both labels.tsv and labels.train.tsv",),
        ),
        (lambda path: (path / "labels.tsv").write_text("\n \n"), ("labels.tsv: it is empty",)),
        (
            lambda path: (path / "images" / "2.png").unlink(),
            ("labels.tsv: row 2: no image 2.png in",),
        ),
        (table("2.png\t右 左\n", ""), ("images: no text for 2.png",)),
        (table("右 左", "  "), ("row 2: no text for 2.png",)),
        (table("10.png", "1.png\tx\n10.png"), ("row 3: 1.png is already in", "row 1")),
        (table("2.png\t", "2.png "), ("row 2 has no tab",)),
        (table("右 左", "右\t左"), ("row 2 has 2 tabs",)),
        (table("右 左", "e", "latin-1"), ("labels.tsv: it is not UTF-8",)),
        (table("右 左", "右\x07左"), ("U+0007", "control character")),
        (
            lambda path: (path / "images" / "2.png").write_bytes(b"no picture"),
            ("2.png: cannot be read (it is no image, or a damaged one)",),
        ),
        (image(np.full((20, 60), 250, np.uint8)), ("2.png: cannot be read (no ink stands out",)),
        (
            image(picture(0, 20, 251)),
            ("2.png: too long: 402 columns at a height of 32", "at most 400"),
        ),
    ],
)
def test_broken_folders(tmp_path: Path, change: Change, parts: tuple[str, ...]) -> None:
    change(save(tmp_path, TEXTS))
    says(lambda: load(tmp_path), *parts)


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    says(lambda: load(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "file").write_text("x")
    says(lambda: load(tmp_path / "file"), "file")


# --- texts that do not fit ---


def test_texts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """Lines of 8 columns, and one more to say what was seen last."""
    texts = ("abababab", "ababababa", "ababababab", "aabbaa", "aabbaab")
    pixels = np.full((8, 8), 255, np.uint8)
    pixels[2:6, 2:6] = 0
    save(tmp_path, {f"{number}.png": text for number, text in enumerate(texts)})
    for path in (tmp_path / "images").iterdir():
        Image.fromarray(pixels).save(path)
    lines = lines_of(load(tmp_path, height=8))
    assert lines.lengths.tolist() == [8] * 5
    assert list(TextReading(("a",), 1).infeasible("train", lines)) == [
        "train: 2 of 5 texts do not fit their columns and are left out of the loss: 2.png, 4.png"
    ]
    assert not list(TextReading(("a",), 2).infeasible("train", lines))
    found = jax.jit(is_feasible)(lines.lengths + 1, lines.labels, lines.label_lengths)
    assert found.tolist() == [True, True, False, True, False]


def test_a_split_without_a_text_that_fits_is_refused(tmp_path: Path) -> None:
    save(tmp_path, {"a.png": "a" * 300, "b.png": "b" * 300})
    split = lines_of(load(tmp_path))
    says(
        lambda: list(TextReading(("a",), 3).infeasible("test", split)),
        "test: none of its 2",
        "a.png",
    )
