"""Shell games: every cell, trained on at most 6 swaps, and evaluated on up to 256.

python main.py --config=configs/tables/shell_game.py --mode=table
"""

from ml_collections import ConfigDict

from configs import shell_game
from seqvision.tables.rows import Row

SWAPS = (1, 2, 3, 6, 12, 24, 64, 256)
_EVALUATIONS = {str(swaps): {"clips.swaps": swaps} for swaps in SWAPS}


def get_config(variant: str = "shell") -> ConfigDict:
    return shell_game.get_config(variant)


def get_table() -> list[Row]:
    return [
        Row(
            name="lstm",
            source="arXiv 2603.08436, 5 swaps",
            figure="33 (16 vision-language models)",
            differs="a specialist on its own rendering",
            evaluations=_EVALUATIONS,
            shown="64",
            seeds=1,
        ),
        Row(
            name="min_lstm",
            overrides={"model.cell": "min_lstm"},
            evaluations=_EVALUATIONS,
            shown="64",
        ),
    ]
