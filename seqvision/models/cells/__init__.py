"""Recurrent cells."""

from seqvision.models.cells.base import Cell
from seqvision.models.cells.gated import GRU, JANET, LSTM, LayerNormLSTM
from seqvision.models.cells.minimal import MinGRU, MinLSTM

CELLS: dict[str, type[Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "layer_norm_lstm": LayerNormLSTM,
    "janet": JANET,
    "min_lstm": MinLSTM,
    "min_gru": MinGRU,
}
