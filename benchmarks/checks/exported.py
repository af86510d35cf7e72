"""A check that exported networks are equal to their runs, for every kind of network.

    python -m benchmarks.checks.exported

Trains each config for a few steps, exports it and runs its files on examples of the validation
split, as `--mode=export` does: a row for each file. What cannot be exported, or is not equal, is a
row too, and the exit code is 1. Results are written after each network.
"""

import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.machine import describe_devices
from benchmarks.progress import Progress
from seqvision import prepare_host
from seqvision.errors import first_line

_PLAIN = {"model.refine_gates": False, "model.gate_init": "constant"}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "rows": ("row_lstm", {}),
    "rows, GRU": ("row_lstm", {"model.cell": "gru"}),
    "rows, GRU, reset before": ("row_lstm", {"model.cell": "gru_reset_before"}),
    "rows, LSTM with layer norm": ("row_lstm", {"model.cell": "layer_norm_lstm"}),
    "rows, JANET": ("row_lstm", {"model.cell": "janet"}),
    "rows, minLSTM": ("row_lstm", {"model.cell": "min_lstm"}),
    "rows, minGRU": ("row_lstm", {"model.cell": "min_gru"}),
    "rows, LSTM, refine gates": ("row_lstm", {"model.refine_gates": True}),
    "rows, GRU, refine gates": ("row_lstm", {"model.cell": "gru", "model.refine_gates": True}),
    "rows, 2 layers": ("row_lstm", {"model.num_layers": 2}),
    "rows, both directions": ("bidirectional_rows", {}),
    "columns": ("column_lstm", {}),
    "CNN, then LSTM": ("cnn_lstm", {}),
    "CNN rows, both directions": ("cnn_rows_lstm", {"model.bidirectional": True}),
    "pixels, LSTM, refine gates": ("pixel_lstm:small", {}),
    "pixels, minGRU": ("pixel_lstm:small", {"model.cell": "min_gru", **_PLAIN}),
    "patches, JANET": ("row_lstm", {"model.sequence": "patches", "model.cell": "janet"}),
    "frames": ("frame_lstm", {}),
    "column reader": ("column_reader", {}),
    "column reader, hard lines": ("column_reader:hard", {}),
}
"""The config of each network, and what is changed in it."""


def check(name: str, num_steps: int, num_examples: int, folder: Path) -> list[dict[str, Any]]:
    """Trains and exports a network; a row for each of its files."""
    from seqvision.export import export_run
    from seqvision.train import train_and_evaluate

    config_name, changes = NETWORKS[name]
    module, _, variant = config_name.partition(":")
    get_config = importlib.import_module(f"configs.{module}").get_config
    config = get_config(variant) if variant else get_config()
    config.update_from_flattened_dict(changes)
    config.duration = config.log_every = f"{num_steps} steps"
    config.evaluate_every = config.checkpoint.every = "never"
    config.schedule.warmup = "10 %"
    config.data.validation_examples = num_examples
    config.lines.validation_lines = config.lines.test_lines = num_examples
    train_and_evaluate(config, folder / "run")
    checked = export_run(folder / "run", str(folder / "exported"), "validation").rows
    return [
        {
            "network": name,
            "file": row.name,
            "bytes": row.num_bytes,
            "difference": row.found.difference,
            "differing": row.found.num_differing,
            "score": row.found.score,
            "seconds": row.seconds,
        }
        for row in checked
    ]


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.exported", __doc__)
    add = parser.add_argument
    add("--steps", type=options.count, default=100, help="of training; by default 100")
    add("--examples", type=options.count, default=500, help="to compare; by default 500")
    chosen = parser.parse(arguments)
    prepare_host()
    facts = report.begin(chosen, "exported", describe_devices(), rows=[], failed=[])
    facts |= {"steps": chosen.steps, "examples": chosen.examples}
    progress, text = Progress(len(NETWORKS)), ""
    for name in NETWORKS:
        progress.show(name)
        try:
            with tempfile.TemporaryDirectory() as folder:
                facts["rows"] += check(name, chosen.steps, chosen.examples, Path(folder))
        except Exception as error:  # The others are checked all the same.
            facts["failed"].append({"network": name, "error": first_line(error, 300)})
        progress.advance()
        text = report.write(facts, _body(facts))
    print(text)
    return 1 if facts["failed"] else 0


def _body(facts: dict[str, Any]) -> list[str]:
    header = ["network", "file", "bytes", "difference of logits", "answers that differ", "score"]
    header += ["ms, batch 1", "ms, batch 128"]
    cells = [
        [
            row["network"],
            row["file"],
            f"{row['bytes']:,}",
            f"{row['difference']:.1e}",
            str(row["differing"]),
            f"{row['score']:.2%}",
            *(f"{1000 * one:.3f}" for one in row["seconds"]),
        ]
        for row in facts["rows"]
    ]
    cells += [
        [row["network"], f"failed: {row['error']}".replace("|", "/"), *[""] * 6]
        for row in facts["failed"]
    ]
    text = (
        f"Trained for {facts['steps']} steps only. The score is the accuracy, or the character"
        f" error rate of a reader, on {facts['examples']} examples of the validation split. Times"
        " are those of a call; of a step, with one step of each input."
    )
    return [text, "", *report.table(header, cells, num_words=2)]


if __name__ == "__main__":
    sys.exit(options.run(main))
