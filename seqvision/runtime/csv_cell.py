"""Cells of CSV files that a spreadsheet shows as text."""

from typing import Any

# Of the page "CSV Injection" of OWASP.
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Any) -> Any:
    """The value of a cell; text that a spreadsheet would compute gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_COMPUTED) else value
