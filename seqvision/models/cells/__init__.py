"""Recurrent cells."""

from seqvision.models.cells.base import Cell
from seqvision.models.cells.gated import GATED_CELLS
from seqvision.models.cells.minimal import MINIMAL_CELLS

CELLS: dict[str, type[Cell]] = {**GATED_CELLS, **MINIMAL_CELLS}
"""All of them, by their names in `config.model.cell`."""
