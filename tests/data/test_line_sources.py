"""Lines as recognisers keep them: pairs of files, PAGE XML, ALTO; texts by the standards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqvision.data.sources.line_images import LineSplit
from seqvision.data.sources.line_pages import lines_of_pages
from tests.data.test_line_images import lines_of, load, picture, says, texts_of

PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
BOX = '<Coords points="10,20 70,20 70,40 10,40"/>'


def reading(text: str, index: int | None = None) -> str:
    number = "" if index is None else f' index="{index}"'
    return f"<TextEquiv{number}><Unicode>{text}</Unicode></TextEquiv>"


def page(*lines: str, image: str = "1.png", size: str = "200 100", space: str = PAGE) -> str:
    width, height = size.split()
    inner = "".join(f'<TextLine id="l{n}">{line}</TextLine>' for n, line in enumerate(lines))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><PcGts xmlns="{space}"><Page'
        f' imageFilename="{image}" imageWidth="{width}" imageHeight="{height}"><TextRegion id="r">'
        f"{inner}{reading('the whole region')}</TextRegion></Page></PcGts>"
    )


def alto(*lines: str, unit: str = "pixel", size: str = "200 100", place: str = "") -> str:
    width, height = size.split()
    place = place or 'HPOS="10" VPOS="20" WIDTH="60" HEIGHT="20"'
    inner = "".join(
        f'<TextLine ID="l{n}" {place}>{line}</TextLine>' for n, line in enumerate(lines)
    )
    return (
        f'<alto xmlns="{ALTO}"><Description><MeasurementUnit>{unit}</MeasurementUnit>'
        "<sourceImageInformation><fileName>1.png</fileName></sourceImageInformation></Description>"
        f'<Layout><Page WIDTH="{width}" HEIGHT="{height}"><PrintSpace><TextBlock>{inner}'
        "</TextBlock></PrintSpace></Page></Layout></alto>"
    )


def scan() -> np.ndarray:
    """A page of 100 x 200 with strokes at rows 20 to 39 and columns 10 to 69."""
    pixels = np.full((100, 200), 255, np.uint8)
    pixels[20:40, 10:70] = picture(1)
    return pixels


def saved(path: Path, content: str, pixels: np.ndarray | None = None) -> Path:
    Image.fromarray(scan() if pixels is None else pixels).save(path / "1.png")
    (path / "1.xml").write_text(content, encoding="utf-8")
    return path


def text_of(path: Path, content: str) -> list[str]:
    return list(texts_of(load(saved(path, content))).values())


# --- pairs ---


def pair(path: Path, name: str, text: str, suffix: str = ".png") -> None:
    path.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(len(name))).save(path / f"{name}{suffix}")
    (path / f"{name}.gt.txt").write_text(text, encoding="utf-8")


def test_pairs_of_an_image_and_its_text(tmp_path: Path) -> None:
    pair(tmp_path, "1", "\ufeffété\r\n")
    pair(tmp_path / "images", "3", "d")
    pair(tmp_path / "book", "line.2", " b a \n\n", ".jpg")
    pair(tmp_path / "book", "010001", "c", ".bin.png")
    said: list[str] = []
    Image.fromarray(picture(9)).save(tmp_path / "alone.png")
    assert texts_of(load(tmp_path, height=20, say=said.append)) == {
        "1.png": "été",
        "book/010001.bin.png": "c",
        "book/line.2.jpg": "b a",
        "images/3.png": "d",
    }
    assert said == [f"{tmp_path}: images without a text (.gt.txt) are left out: alone.png"]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "testing"),
        ("Train", "Valid", "Test"),
        ("training_set", "dev", "testset"),
        ("train", "val", "test_images"),
    ],
)
def test_pairs_in_folders_of_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for folder, text in zip(names, "abc", strict=True):
        pair(tmp_path / folder, "1", text)
    dataset = load(tmp_path, validation_fraction=0.5)
    assert {split: list(texts_of(dataset, split).values()) for split in dataset.splits} == {
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
    }


def test_wrong_pairs(tmp_path: Path) -> None:
    pair(tmp_path, "1", "a\nb")
    says(lambda: load(tmp_path), "1.gt.txt: 2 lines of text")
    pair(tmp_path, "1", " \n")
    says(lambda: load(tmp_path), "1.gt.txt: no text")
    pair(tmp_path, "1", "a", ".jpg")
    says(lambda: load(tmp_path), "1.gt.txt: it has several images (1.jpg, 1.png)")
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "1.png").unlink()
    says(lambda: load(tmp_path), "1.gt.txt: it has no image beside it")


# --- pages ---


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (BOX + reading("plain"), "plain"),
        # "The text content with the lowest index should be interpreted as the main text content."
        (BOX + reading("second", 1) + reading("first", 0), "first"),
        (BOX + reading("b", 10) + reading("a", 9), "a"),
        # In its words only: with spaces, and no glyph twice.
        (
            BOX
            + f"<Word id='a'>{reading('two')}<Glyph id='g'>{reading('t')}</Glyph></Word>"
            + f"<Word id='b'>{reading('no', 1)}{reading('words', 0)}</Word>",
            "two words",
        ),
        (
            BOX + f"<Word id='a'>{reading('not')}</Word>" + reading("the line's own"),
            "the line's own",
        ),
        (
            BOX + f"<Word><Glyph>{reading('a')}</Glyph><Glyph>{reading('b')}</Glyph></Word>",
            "ab",
        ),
        (BOX + reading("end-of-") + "<TextStyle/>", "end-of-"),
        # As of 2010.
        (
            "<Coords><Point x='10' y='20'/><Point x='70' y='20'/><Point x='70' y='40'/>"
            "<Point x='10' y='40'/></Coords><TextEquiv><PlainText>old</PlainText></TextEquiv>",
            "old",
        ),
    ],
)
def test_texts_of_page_xml(tmp_path: Path, line: str, text: str) -> None:
    assert text_of(tmp_path, page(line)) == [text]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('<String CONTENT="a"/><SP/><String CONTENT="b"/>', "a b"),
        ('<String CONTENT="a"/><String CONTENT="b"/>', "a b"),
        # A hyphen is ink; the word as a whole, SUBS_CONTENT, is not there.
        (
            '<String CONTENT="hy" SUBS_TYPE="HypPart1" SUBS_CONTENT="hyphen"/><HYP CONTENT="-"/>',
            "hy-",
        ),
        ('<String CONTENT="hy-"/><HYP CONTENT="-"/>', "hy-"),
        ('<String CONTENT="ab"><Glyph CONTENT="a"/><Glyph CONTENT="b"/></String>', "ab"),
        ('<String CONTENT="a"><ALTERNATIVE>b</ALTERNATIVE></String>', "a"),
    ],
)
def test_texts_of_alto(tmp_path: Path, line: str, text: str) -> None:
    assert text_of(tmp_path, alto(line)) == [text]


@pytest.mark.parametrize(
    "content",
    [
        page(BOX + reading("a")),
        page(BOX + reading("a"), size="100 50").replace("10,20 70,20 70,40 10,40", "5,10 35,20"),
        alto('<String CONTENT="a"/>'),
        # A tenth of a millimetre, at 254 pixels an inch: one pixel; and at 127.
        alto('<String CONTENT="a"/>', unit="mm10"),
        alto(
            '<String CONTENT="a"/>',
            unit="mm10",
            size="400 200",
            place='HPOS="20" VPOS="40" WIDTH="120" HEIGHT="40"',
        ),
        alto(  # Of its words.
            '<String CONTENT="a" HPOS="10" VPOS="22" WIDTH="20" HEIGHT="18"/>'
            '<String CONTENT="b" HPOS="35" VPOS="20" WIDTH="35" HEIGHT="5"/>',
            place='STYLEREFS="s"',
        ),
        alto(
            '<Shape><Polygon POINTS="10 20 70 20 70 40 10 40"/></Shape><String CONTENT="a"/>',
            place='HPOS="0" VPOS="0" WIDTH="9" HEIGHT="9"',
        ),
    ],
)
def test_boxes_are_cut_out(tmp_path: Path, content: str) -> None:
    lines = lines_of(load(saved(tmp_path, content), height=20))
    np.testing.assert_array_equal(lines.inputs[0, ..., 0], 255 - picture(1))


def test_outlines_are_cut_out(tmp_path: Path) -> None:
    """What lies outside, such as the line above, is paper."""
    pixels = np.full((100, 200), 230, np.uint8)
    pixels[30:34, 20:60] = 10
    pixels[21:24, 12:30] = 0  # Of another line.
    outline = '<Coords points="10,26 40,26 40,20 70,20 70,40 10,40"/>'
    dataset = load(saved(tmp_path, page(outline + reading("a")), pixels), height=20)
    line = lines_of(dataset).inputs[0, ..., 0]
    assert line.shape == (20, 60)
    expected = np.zeros((20, 60), np.uint8)
    expected[10:14, 10:50] = 255
    np.testing.assert_array_equal(line, expected)


def test_many_pages(tmp_path: Path) -> None:
    """In a folder `page`, two lines each; what has no text is left out, and other XML."""
    said: list[str] = []
    (tmp_path / "page").mkdir()
    for number in (1, 2):
        Image.fromarray(scan()).save(tmp_path / f"{number}.png")
        texts = [BOX + reading(f"a{number}"), BOX, BOX + reading("b")]
        content = page(*texts, image=f"C:\\scans\\{number}.png")
        (tmp_path / "page" / f"{number}.xml").write_text(content)
    (tmp_path / "mets.xml").write_text("<mets/>")
    dataset = load(tmp_path, say=said.append)
    assert texts_of(dataset) == {
        "page/1.xml:l0": "a1",
        "page/1.xml:l2": "b",
        "page/2.xml:l0": "a2",
        "page/2.xml:l2": "b",
    }
    assert said == [
        f"{tmp_path}: left out (XML of other kinds than PAGE and ALTO): mets.xml",
        f"{tmp_path}: left out (no text): page/1.xml:l1, page/2.xml:l1",
    ]
    assert isinstance(dataset.split("train"), LineSplit)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (page(BOX + reading("a"))[:-5], ("1.xml: it is no whole XML file",)),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + "<a>&b;</a>", ("1.xml: it declares XML entities",)),
        (page(reading("a")), ("line l0: it has no outline",)),
        (page('<Coords points="1,2 x"/>' + reading("a")), ("'1,2 x' are no points",)),
        (page('<Coords points="1,2 1,9"/>' + reading("a")), ("its outline is no area",)),
        (page(BOX.replace("70", "7e999") + reading("a")), ("it has no outline",)),
        (page(BOX.replace("70", "1e308") + reading("a"), size="1 1"), ("it has no outline",)),
        (page(BOX.replace("10,", "300,").replace("70,", "400,") + reading("a")), ("outside",)),
        (page(BOX + reading("a"), size="100 100"), ("another one", "200x100")),
        (page(BOX.replace("20", "60").replace("40", "90") + reading("a")), ("no ink", "1.xml:l0")),
        (page(BOX + reading("a"), size="200 1e-9"), ("another one", "200x100")),
        (page(BOX), ("images: no such folder",)),
    ],
)
def test_wrong_pages(tmp_path: Path, content: str, parts: tuple[str, ...]) -> None:
    says(lambda: load(saved(tmp_path, content)), *parts)


def test_a_page_without_its_image(tmp_path: Path) -> None:
    saved(tmp_path, page(BOX + reading("a"), image="2.png"))
    assert [line.file.name for line in lines_of_pages(tmp_path, print)] == ["1.png"]
    (tmp_path / "1.png").unlink()
    says(lambda: load(tmp_path), "1.xml: no image 2.png beside it")


@pytest.mark.parametrize("name", ["", " ", "/", "scans/", ".", "..", "x" * 300, None])
@pytest.mark.parametrize("is_alto", [False, True])
def test_a_page_that_names_no_image(tmp_path: Path, name: str | None, is_alto: bool) -> None:
    if is_alto:
        content = alto('<String CONTENT="a"/>')
        old = "<fileName>1.png</fileName>"
        new = "" if name is None else f"<fileName>{name}</fileName>"
    else:
        content = page(BOX + reading("a"))
        old, new = ' imageFilename="1.png"', "" if name is None else f' imageFilename="{name}"'
    assert old in content
    saved(tmp_path, content.replace(old, new))
    [line] = lines_of_pages(tmp_path, print)
    assert (line.text, line.file) == ("a", tmp_path / "1.png")
    (tmp_path / "1.png").unlink()
    wanted = name if name and len(name) == 300 else "1.png"
    says(lambda: lines_of_pages(tmp_path, print), f"1.xml: no image {wanted[:20]}", "put that of")
