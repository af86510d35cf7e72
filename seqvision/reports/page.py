"""The page itself: templates filled in. They need jinja2."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from seqvision.runs.files import write_whole

PAGE = "report.html"
"""In the folder of a run or sweep."""

# What a template does not mark as HTML is escaped: names come from the user's files.
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Section(NamedTuple):
    """A part of the page.

    Attributes:
      anchor: its name in addresses.
      title: its heading.
      body: HTML.
      metrics: what it measured, by the names of `metrics.jsonl`.
    """

    anchor: str
    title: str
    body: Markup
    metrics: Mapping[str, float] = MappingProxyType({})


def fill(template: str, **values: Any) -> Markup:
    """A template with its values, as HTML."""
    return Markup(_TEMPLATES.get_template(template).render(values))  # It escapes its values.


def write_page(path: Path, title: str, subtitle: str, sections: list[Section]) -> None:
    """Writes the page whole or not at all.

    Raises:
      OSError: it cannot be written.
    """
    text = fill("page.html", title=title, subtitle=subtitle, sections=sections)
    write_whole(path, str(text) + "\n")
