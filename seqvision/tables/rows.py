"""Rows of a table: `get_table()` of a config file returns them, and each says what a source found.

    Row(
        name="lstm",
        source="arXiv 1234.56789, table 1",
        figure="98.8",
        differs="two weeks less of training",
        overrides={"model.cell": "lstm"},
        seeds=5,
    )

It needs only the standard library; the fields of `overrides` are checked when the table is planned.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """A network that a source trained, and how it is trained here, by a number of seeds.

    Attributes:
      name: of the row and of its folder.
      source: where the figure stands; "" where nobody published one.
      figure: what the source found, in its own words; "" where nobody did.
      differs: how our training differs from the source's.
      variant: of the table's config file; "" for `get_config()` without one.
      overrides: fields of that config, by dotted name, that the row changes.
      seeds: it is trained with seeds 0 to `seeds` - 1.
      evaluations: by name, fields that an evaluation on the test split changes, such as the length
        of generated clips. Where each frame has a class, accuracy is that in the last one.
      shown: the evaluation whose figure stands beside the source's; "" for the test metric of the
        training itself.
    """

    name: str
    source: str = ""
    figure: str = ""
    differs: str = ""
    variant: str = ""
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    evaluations: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    shown: str = ""
