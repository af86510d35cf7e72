"""Pages in a real browser: complete, without a request, at every width, without scripts, too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.node import CHROMIUM, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("scheme", "width", "scripts"), [("light", 1280, True), ("dark", 400, False)]
)
def test_a_page_is_complete(
    browser: Any, classifier: Path, classifier_page: str, scheme: str, width: int, scripts: bool
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, java_script_enabled=scripts
    )
    page, messages, requests = context.new_page(), [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((classifier / "report.html").as_uri())
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == [
        (classifier / "report.html").as_uri()
    ]
    # Nothing is wider than the window, and every drawing has a size.
    body = page.locator("main").bounding_box()
    assert body["x"] >= 0 and body["x"] + body["width"] <= width
    for section in page.locator("section").all():
        box = section.bounding_box()
        assert box["x"] + box["width"] <= width and box["height"] > 40
    for drawing in page.locator("svg").all():
        box = drawing.bounding_box()
        assert box["width"] > 100 and box["height"] > 50
        assert box["x"] + box["width"] <= width
    context.close()


@pytest.mark.parametrize("width", [1280, 300])
def test_tab_leads_to_what_scrolls(
    browser: Any, classifier: Path, classifier_page: str, width: int
) -> None:
    """And to nothing that does not scroll, but for links and what unfolds."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((classifier / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    find = "[...document.querySelectorAll('.wide, pre')]"
    scrolling = page.evaluate(f"{find}.map(one => one.scrollWidth > one.clientWidth + 1)")
    found = set()
    for _ in range(page.locator("a, summary, .wide, pre").count()):
        page.keyboard.press("Tab")
        found.add(page.evaluate(f"{find}.indexOf(document.activeElement)"))
    assert found - {-1} == {place for place, scrolls in enumerate(scrolling) if scrolls}
    assert any(scrolling) == (width == 300)
    page.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_letters_of_charts_are_large_enough(
    browser: Any, classifier: Path, classifier_page: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((classifier / "report.html").as_uri())
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg.chart text')].filter(one => one.textContent.trim())"
        ".map(one => [one.getScreenCTM(), parseFloat(getComputedStyle(one).fontSize)])"
        ".map(([turned, size]) => size * Math.hypot(turned.a, turned.b))"
    )
    assert len(sizes) > 20 and min(sizes) >= 11
    page.close()
