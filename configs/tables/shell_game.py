"""Shell games of 1 to 256 swaps: every cell and readout, trained on at most 6 swaps, 5 seeds.

    python main.py --config=configs/tables/shell_game.py --mode=table

Columns are accuracy in the last frame of games of so many swaps; chance is 33 %.
"""

from ml_collections import ConfigDict

from configs import shell_game
from seqvision.tables.rows import Row

_CELLS = ("lstm", "gru", "layer_norm_lstm", "janet", "min_lstm", "min_gru")
_READOUTS = ("last", "mean", "max", "attention")
_SWAPS = (1, 2, 3, 6, 12, 24, 64)
_EVALUATIONS = {str(swaps): {"clips.swaps": swaps} for swaps in _SWAPS}
_EVALUATIONS["256"] = {"clips.swaps": 256, "clips.test_clips": 500}
_FRAMES = {f"{n} frames": {"clips.num_frames": n, "clips.min_frames": n} for n in (25, 50, 100)}
_SOURCE = "arXiv 2603.08436 (3 cups, 5 swaps)"
_FIGURE = "33: 16 vision-language models; over 90: tuned"
_DIFFERS = "a specialist on its own rendering, after 64 swaps"


def get_config(variant: str = "shell") -> ConfigDict:
    return shell_game.get_config(variant)


def _row(name: str, variant: str = "shell", **overrides: object) -> Row:
    return Row(
        name=name,
        source=_SOURCE,
        figure=_FIGURE,
        differs=_DIFFERS,
        variant=variant,
        overrides={key.replace("__", "."): value for key, value in overrides.items()},
        seeds=5,
        evaluations=_EVALUATIONS,
        shown="64",
    )


def _parity(cell: str) -> Row:
    return Row(
        name=f"parity_{cell}",
        differs="how often did a digit blink? Trained on 5 to 25 frames",
        variant="parity",
        overrides={"model.cell": cell},
        seeds=5,
        evaluations=_FRAMES,
        shown="100 frames",
    )


def get_table() -> list[Row]:
    return [
        *(_row(cell, model__cell=cell) for cell in _CELLS),
        *(_row(f"{cell}_2_layers", model__cell=cell, model__num_layers=2) for cell in _CELLS[-2:]),
        *(_row(f"lstm_readout_{name}", "last", model__readout=name) for name in _READOUTS),
        _row("lstm_5_cups", clips__cups=5),
        _row("no_memory", data__window=1),
        *(_parity(cell) for cell in ("lstm", "gru", "min_lstm")),
    ]
