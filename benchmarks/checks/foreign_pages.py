"""Foreign and mutated PAGE and ALTO files beside the image of their page."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from benchmarks.checks.foreign_cases import LINE_HEIGHT, TEXTS, Case, drawn, mutations
from benchmarks.checks.foreign_pictures import saved
from benchmarks.checks.foreign_sets import _lines

_GAP = 4
_PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/%s"
_ALTO = "http://www.loc.gov/standards/alto/ns-v%d#"


def page_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Known are the texts of the lines, in order."""
    image = _image()
    page, alto = _page(_lines_of_page()), _alto(_lines_of_alto())
    right = {
        **{f"PAGE {day}": page.replace("2019-07-15", day) for day in ("2013-07-15", "2010-03-19")},
        "PAGE": page,
        "PAGE without a namespace": page.replace(f' xmlns="{_PAGE % "2019-07-15"}"', ""),
        "PAGE of a path": page.replace('"p.png"', '"C:\\scans\\p.png"'),
        "PAGE of words": page.replace("<TextEquiv>", "<Word><TextEquiv>").replace(
            "</TextEquiv>", "</TextEquiv></Word>"
        ),
        "PAGE of points": page.replace("</Coords>", "</Coords><Baseline points='0,9 5,9'/>"),
        "ALTO": alto,
        **{f"ALTO {v}": alto.replace("ns-v4", f"ns-v{v}") for v in (2, 3)},
        "ALTO in tenths": alto.replace(">pixel<", ">mm10<"),
    }
    for name, text in right.items():
        files = {"p.xml": text.encode(), "p.png": image}
        yield _lines("PAGE and ALTO", name, files, TEXTS)
    for encoding in ("utf-8-sig", "utf-16"):
        head = page.replace('<?xml version="1.0"?>', "")
        files = {"p.xml": head.encode(encoding), "p.png": image}
        yield _lines("PAGE and ALTO", f"PAGE {encoding}", files, TEXTS)
    for name, text in _wrong(page, alto).items():
        yield _lines("PAGE and ALTO", name, {"p.xml": text.encode(), "p.png": image})
    yield _lines("PAGE and ALTO", "PAGE alone", {"p.xml": page.encode()})
    other = saved(Image.fromarray(np.full((9, 300), 255, np.uint8)))
    yield _lines("PAGE and ALTO", "PAGE of another", {"p.xml": page.encode(), "p.png": other})
    for text in (page, alto):
        for _ in range(2):
            for number, (_, changed) in enumerate(mutations(text.encode(), rng)):
                name = f"{text[60:64]} {number} {rng.integers(10**6)}"
                yield _lines("PAGE and ALTO", name, {"p.xml": changed, "p.png": image})


def _wrong(page: str, alto: str) -> dict[str, str]:
    first = page.partition('points="')[2].partition('"')[0]

    def outlined(points: str) -> str:
        return page.replace(first, points, 1)

    empty = page.replace("<Unicode>", "<Unicode><!--").replace("</Unicode>", "--></Unicode>")
    entity = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    return {
        "PAGE of no points": outlined(""),
        "PAGE of one point": outlined("3,4"),
        "PAGE of an odd number": outlined("1,2 3,4 5"),
        "PAGE of words as points": outlined("a,b c,d"),
        "PAGE of NaN": outlined("nan,nan 4,5 6,7"),
        "PAGE of infinity": outlined("inf,0 4,5 6,7"),
        "PAGE of negative points": outlined("-5,-5 20,-5 20,12 -5,12"),
        "PAGE outside": outlined("5000,5000 5100,5000 5100,5016 5000,5016"),
        "PAGE of large numbers": outlined("0,0 1e300,0 1e300,9 0,9"),
        "PAGE of a line": outlined("0,0 9,0"),
        "PAGE crossed": outlined("0,0 30,16 30,0 0,16"),
        "PAGE without texts": empty,
        "PAGE of no size": page.replace('imageWidth="', 'w="'),
        "PAGE of size 0": page.replace('imageHeight="', 'imageHeight="0" h="'),
        "PAGE with entities": page.replace("?>", f"?>{entity}").replace("ab ba", "&b;"),
        "PAGE with a DTD": page.replace("?>", '?><!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        "PAGE in HTML": "<html><body><p>a</p></body></html>",
        "PAGE nested": page.replace("<TextLine", "<TextRegion><TextRegion><TextLine", 1).replace(
            "</TextLine>", "</TextLine></TextRegion></TextRegion>", 1
        ),
        "PAGE of an encoding": page.replace('version="1.0"', 'version="1.0" encoding="klingon"'),
        "ALTO in inches": alto.replace(">pixel<", ">inch1200<").replace("<Page ", "<Page x='1' "),
        "ALTO without boxes": alto.replace("HPOS=", "h=").replace("VPOS=", "v="),
        "ALTO of NaN": alto.replace('HPOS="', 'HPOS="nan" x="', 1),
        "ALTO of words": alto.replace('WIDTH="', 'WIDTH="wide" x="', 1),
        "ALTO without texts": alto.replace("CONTENT=", "c="),
    }


def _image() -> bytes:
    """The lines one below the other, dark on light."""
    height = len(TEXTS) * (LINE_HEIGHT + _GAP)
    page = np.full((height, max(drawn(text).shape[1] for text in TEXTS)), 255, np.uint8)
    for number, text in enumerate(TEXTS):
        line, top = drawn(text), number * (LINE_HEIGHT + _GAP)
        page[top : top + LINE_HEIGHT, : line.shape[1]] = 255 - line
    return saved(Image.fromarray(page))


def _boxes() -> Iterator[tuple[str, int, int, int]]:
    """Text, top, width and number of each line."""
    for number, text in enumerate(TEXTS):
        yield text, number * (LINE_HEIGHT + _GAP), drawn(text).shape[1], number


def _size() -> tuple[int, int]:
    return max(drawn(text).shape[1] for text in TEXTS), len(TEXTS) * (LINE_HEIGHT + _GAP)


def _lines_of_page() -> str:
    return "".join(
        f'<TextLine id="l{number}"><Coords points="0,{top} {width},{top} {width},'
        f'{top + LINE_HEIGHT} 0,{top + LINE_HEIGHT}"></Coords><TextEquiv><Unicode>{text}</Unicode>'
        "</TextEquiv></TextLine>"
        for text, top, width, number in _boxes()
    )


def _page(lines: str) -> str:
    width, height = _size()
    return (
        f'<?xml version="1.0"?><PcGts xmlns="{_PAGE % "2019-07-15"}"><Page imageFilename="p.png"'
        f' imageWidth="{width}" imageHeight="{height}"><TextRegion id="r">{lines}</TextRegion>'
        "</Page></PcGts>"
    )


def _lines_of_alto() -> str:
    found = ""
    for text, top, width, number in _boxes():
        words = "<SP/>".join(f'<String CONTENT="{word}"/>' for word in text.split())
        found += (
            f'<TextLine ID="l{number}" HPOS="0" VPOS="{top}" WIDTH="{width}"'
            f' HEIGHT="{LINE_HEIGHT}">{words}</TextLine>'
        )
    return found


def _alto(lines: str) -> str:
    width, height = _size()
    return (
        f'<?xml version="1.0"?><alto xmlns="{_ALTO % 4}"><Description><MeasurementUnit>pixel<'
        "/MeasurementUnit><sourceImageInformation><fileName>p.png</fileName></sourceImageInformation>"
        f'</Description><Layout><Page WIDTH="{width}" HEIGHT="{height}"><PrintSpace><TextBlock>'
        f"{lines}</TextBlock></PrintSpace></Page></Layout></alto>"
    )
