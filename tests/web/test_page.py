"""The page in a real Chromium: what a pen draws is read, from a server and from a folder."""

import dataclasses
import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as Late

from seqvision.exporters.description import describe
from seqvision.runs.saved_run import Run
from seqvision.web.streams import opener
from tests.web import conftest
from tests.web.conftest import Address, as_folder, served
from tests.web.node import needs_chromium, needs_runtime
from tests.web.runs import classifier
from tests.web.strokes import Stroke, line_of

pytestmark = needs_chromium
MNIST = Path("seqvision/data/mnist")
PLACES = [
    pytest.param(served, id="server"),
    pytest.param(as_folder, id="folder", marks=needs_runtime),
]
Place = Callable[[Run, Path], Address]


def write(page: Any, line: int, digits: list[list[Stroke]]) -> None:
    """Moves the mouse on the canvas of a line, whose rows are 32."""
    canvas = page.locator("canvas").nth(line)
    box = canvas.bounding_box()
    unit = (box["height"] - 2) / 32
    for stroke in [stroke for strokes in digits for stroke in strokes]:
        places = [(box["x"] + 1 + x * unit, box["y"] + 1 + y * unit) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in [*places[1:-1:2], places[-1]]:
            page.mouse.move(*place)
        page.mouse.up()


def digits_of(first: int, last: int) -> tuple[list[list[Stroke]], str]:
    """Digits `first` to `last`, without `last`, of the test set, as strokes and as text."""
    with gzip.open(MNIST / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + 784 * last)[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(MNIST / "t10k-labels-idx1-ubyte.gz") as file:
        labels = file.read(8 + last)[8:]
    return line_of(list(images[first:]), top=2.0), "".join(map(str, labels[first:]))


def heard(page: Any, text: str) -> None:
    """Waits for what a screen reader says."""
    try:
        page.wait_for_function(
            "text => document.getElementById('heard').textContent === text",
            arg=text,
            timeout=15_000,
        )
    except Late:
        assert page.evaluate("document.getElementById('heard').textContent") == text


@pytest.mark.parametrize("place", PLACES)
def test_digits_of_the_test_set_are_read_while_they_are_written(
    place: Place, reader: Run, tmp_path: Path, open_page: Any
) -> None:
    with place(reader, tmp_path) as address:
        # A telephone in the dark.
        page = open_page(address, viewport={"width": 400, "height": 800}, color_scheme="dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        place_before = page.locator("canvas").first.bounding_box()
        first, text = digits_of(0, 3)
        write(page, 0, first)
        # The first letter is there before the pen pauses: it is three letters behind.
        assert page.locator(".letters li").first.inner_text().startswith(text[0])
        heard(page, text)
        items = page.locator(".letters li")
        assert [item.inner_text()[0] for item in items.all()] == list(text)
        assert "columns read in" in page.inner_text("#speed")
        assert page.locator("canvas").first.bounding_box() == place_before
        # Its columns are those of its ink.
        left = float(items.nth(0).evaluate("item => parseFloat(item.style.left)")) / 100
        middle = np.mean([x for stroke in first[0] for x, _ in stroke])
        assert left * page.locator("canvas").first.bounding_box()["width"] / 3 == pytest.approx(
            middle, abs=4
        )
        second, below = digits_of(3, 5)
        write(page, 1, second)
        heard(page, f"{text}\n{below}")
        # Back to the line above: it is read anew, with what comes at its end.
        shift = max(x for stroke in first[-1] for x, _ in stroke)
        more = [[(x + shift, y) for x, y in stroke] for stroke in second[0]]
        write(page, 0, [more])
        heard(page, f"{text}{below[0]}\n{below}")
        for _ in second[0]:
            page.keyboard.press("Control+z")
        heard(page, f"{text}\n{below}")
        page.locator("canvas").nth(1).focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
            "Line 3, empty"
        )
        page.get_by_role("button", name="Clear").click()
        assert page.inner_text("#speed") == ""
        heard(page, "")
        assert page.locator("canvas").count() == 1
        # A stroke that is taken away while the pen is down does not go on; nor does one of a line
        # that is cleared.
        box = page.locator("canvas").first.bounding_box()
        for key in ("Control+z", "Delete"):
            page.mouse.move(box["x"] + 40, box["y"] + 20)
            page.mouse.down()
            page.mouse.move(box["x"] + 60, box["y"] + 80)
            page.keyboard.press(key)
            page.mouse.move(box["x"] + 100, box["y"] + 20)
            page.mouse.up()
            label = page.locator("canvas").first.get_attribute("aria-label")
            assert label.startswith("Line 1, empty")
        assert page.inner_text("#problem") == ""


@pytest.mark.parametrize("place", PLACES)
def test_belief_of_an_opened_picture_is_that_of_python(
    place: Place, tmp_path: Path, rng: np.random.Generator, open_page: Any
) -> None:
    run = classifier((9, 8, 1), sequence="rows", readout="mean")
    image = np.zeros((9, 8), np.uint8)
    image[1:-1, 1:-1] = rng.integers(0, 256, (7, 6))
    Image.fromarray(image).save(tmp_path / "digit.png")
    stream = opener(run, describe(run))()
    expected = np.array(stream.push(image.tobytes())["beliefs"])

    def shown(page: Any) -> np.ndarray:
        return np.array([float(n.split()[0]) for n in page.locator("td.number").all_inner_texts()])

    with place(run, tmp_path / "page") as address:
        page = open_page(address)
        page.set_input_files("input[type=file]", tmp_path / "digit.png")
        best = int(expected[-1].argmax())
        heard(page, f"{best}, {math.floor(1000 * expected[-1, best] + 0.5) / 10:.1f} percent")
        np.testing.assert_allclose(shown(page), 100 * expected[-1], atol=0.051)
        assert page.inner_text("#count") == "9 of 9 rows"
        page.locator("#step").focus()
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#count") == "8 of 9 rows"
        np.testing.assert_allclose(shown(page), 100 * expected[-2], atol=0.051)
        # A drawing is read as well; what is no picture is named, and nothing is believed of it.
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 50, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 50, box["y"] + 250)
        page.mouse.up()
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('9')")
        (tmp_path / "text.png").write_text("no picture")
        page.set_input_files("input[type=file]", tmp_path / "text.png")
        page.wait_for_selector("#problem:not(:empty)")
        assert page.inner_text("#problem").startswith("text.png: it is no picture")
        unseen(page, "0 of 0 rows")
        page.get_by_role("button", name="Clear").click()
        assert page.inner_text("#problem") == ""
        # So is a blank picture, and a blank drawing is not read.
        page.set_input_files("input[type=file]", tmp_path / "digit.png")
        page.wait_for_selector("#speed:not(:empty)")
        Image.new("RGB", (30, 20), (10, 200, 90)).save(tmp_path / "blank.png")
        page.set_input_files("input[type=file]", tmp_path / "blank.png")
        page.wait_for_selector("#problem:not(:empty)")
        assert page.inner_text("#problem") == "blank.png: it is blank: all its pixels are alike"
        unseen(page, "0 of 0 rows")
        page.mouse.move(box["x"] + 50, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 50, box["y"] + 150)
        page.keyboard.press("Control+z")
        page.mouse.move(box["x"] + 150, box["y"] + 250)
        page.keyboard.press("Delete")
        page.mouse.move(box["x"] + 50, box["y"] + 250)
        page.mouse.up()
        page.wait_for_timeout(400)
        unseen(page, "0 of 0 rows")


def unseen(page: Any, count: str) -> None:
    """Checks that the page believes nothing."""
    assert page.inner_text("#count") == count
    assert set(page.locator("td.number").all_inner_texts()) == {"0.0 %"}
    assert page.evaluate("document.getElementById('heard').textContent") == ""
    assert page.inner_text("#speed") == ""


def test_a_whole_picture_is_one(tmp_path: Path, open_page: Any) -> None:
    run = classifier((9, 8, 1), sequence="rows", bidirectional=True)
    with served(run, tmp_path) as address:
        page = open_page(address)
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 50, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 150)
        page.mouse.up()
        page.wait_for_selector("#speed:not(:empty)")
        assert page.inner_text("#count") == "1 of 1 picture"
        assert page.inner_text("#speed").startswith("1 picture read in ")


@pytest.mark.parametrize("place", PLACES)
def test_a_clip_ends_with_its_window(
    place: Place,
    tmp_path: Path,
    rng: np.random.Generator,
    open_page: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = classifier((4, 9, 8, 1), sequence="frames", cnn_channels=(2,))
    data = dataclasses.replace(run.settings.data, window=2)
    run = dataclasses.replace(run, settings=dataclasses.replace(run.settings, data=data))
    monkeypatch.setattr(conftest, "describe", lambda run: describe(run) | {"window": 2})
    frames = rng.integers(0, 256, (4, 9, 8), np.uint8)
    images = [Image.fromarray(frame) for frame in frames]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    with place(run, tmp_path / "page") as address:
        page = open_page(address)
        page.set_input_files("input[type=file]", [tmp_path / f"{n}.png" for n in range(4)])
        page.wait_for_selector("#speed:not(:empty)")
        assert page.inner_text("#count") == "2 of 2 frames"
        assert page.inner_text("#problem").startswith(
            "the network knows clips of 2 frames (config.data.window): 2 more were not read"
        )
        page.get_by_role("button", name="Clear").click()
        for count in ("1 of 1 frame", "2 of 2 frames", "2 of 2 frames"):
            assert page.inner_text("#problem") == ""
            page.get_by_role("button", name="Add frame").click()
            page.wait_for_function(
                "count => document.getElementById('count').textContent === count", arg=count
            )
        page.wait_for_selector("#problem:not(:empty)")


def test_frames_of_a_clip_are_read_one_after_another(
    tmp_path: Path, rng: np.random.Generator, open_page: Any
) -> None:
    run = classifier((4, 9, 8, 1), sequence="frames", cnn_channels=(2,))
    frames = np.zeros((3, 9, 8), np.uint8)
    frames[:, 2:-2, 2:-2] = rng.integers(0, 256, (3, 5, 4))
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "clip.gif", save_all=True, append_images=images[1:], loop=0)
    stream = opener(run, describe(run))()
    belief = stream.push(frames.tobytes())["beliefs"][-1]
    with served(run, tmp_path) as address:
        page = open_page(address)
        page.set_input_files("input[type=file]", tmp_path / "clip.gif")
        best = int(np.argmax(belief))
        heard(page, f"{best}, {math.floor(1000 * belief[best] + 0.5) / 10:.1f} percent")
        assert page.inner_text("#count") == "3 of 3 frames"
        page.get_by_role("button", name="Add frame").click()
        page.wait_for_function(
            "() => document.getElementById('count').textContent === '4 of 4 frames'", timeout=15_000
        )
        # Other files are another clip.
        page.set_input_files("input[type=file]", tmp_path / "clip.gif")
        page.wait_for_function(
            "() => document.getElementById('count').textContent === '3 of 3 frames'", timeout=15_000
        )


def test_a_page_is_told_that_there_is_no_place_and_that_the_server_has_ended(
    reader: Run, tmp_path: Path, open_page: Any
) -> None:
    with served(reader, tmp_path) as address:
        first = open_page(address)
        open_page(address)
        third = open_page(address, is_ready=False)
        assert third.inner_text("#problem").startswith("2 pages are open")
        digits, text = digits_of(0, 1)
        write(first, 0, digits)
        heard(first, text)
        assert "read in" in first.inner_text("#speed")
    first.wait_for_selector("#problem:not(:empty)")
    assert first.inner_text("#problem") == "the server has ended"
    assert first.inner_text("#speed") == ""
