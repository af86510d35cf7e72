"""Cases of `same_bits`: every shipped config, cut short, and more than these configs name."""

from typing import Any

Fields = dict[str, Any]

_CLIPS: Fields = {"clips.validation_clips": 200, "clips.test_clips": 400}
_LINES: Fields = {"lines.validation_lines": 150, "lines.test_lines": 200}
_TWO_STEPS: Fields = {"duration": "2 steps", "evaluate_every": "never"}

SHORT: Fields = {
    "duration": "6 steps",
    "log_every": "2 steps",
    "evaluate_every": "3 steps",
    "checkpoint.every": "3 steps",
    "data.validation_examples": 500,
}
"""Fields of all cases; those of a case itself come after them."""
SHIPPED: dict[str, Fields] = {
    "row_lstm.py:tuned": {},
    "row_lstm.py:fast": {},
    "row_lstm.py:estimator": {},
    "row_lstm.py:book": {"data.validation_examples": 0},
    "column_lstm.py": {},
    "bidirectional_rows.py": {},
    "cnn_lstm.py": {},
    "cnn_lstm.py:estimator": {},
    "cnn_rows_lstm.py": {},
    "pixel_lstm.py:full": _TWO_STEPS,
    "pixel_lstm.py:permuted": _TWO_STEPS,
    "pixel_lstm.py:small": {},
    "frame_lstm.py:motion": _CLIPS,
    "frame_lstm.py:single_frame": _CLIPS,
    "frame_lstm.py:digit": _CLIPS,
    "frame_lstm.py:estimator": _CLIPS,
    "shell_game.py:shell": _CLIPS,
    "shell_game.py:last": _CLIPS,
    "shell_game.py:parity": _CLIPS,
    "column_reader.py:clean": _LINES,
    "column_reader.py:natural": _LINES,
    "column_reader.py:hard": _LINES,
    "column_reader.py:bidirectional": _LINES,
    "column_reader.py:natural,bidirectional": _LINES,
    "column_reader.py:hard,bidirectional": _LINES,
    "sweeps/cells.py": {},
    "sweeps/learning_rate_and_size.py": {},
}
"""Fields by config; the config is also the name of the case."""
MORE: dict[str, tuple[str, Fields]] = {
    "seeds": ("row_lstm.py:tuned", {"num_seeds": 3, "ema_decay": 0.9}),
    "reader seeds": ("column_reader.py:clean", _LINES | {"num_seeds": 2, "duration": "4 steps"}),
    "streamed": ("row_lstm.py:tuned", {"data.resident_bytes": 1000}),
    "seed 5": ("row_lstm.py:fast", {"seed": 5, "checkpoint.keep_best": True}),
    "gru, two layers, dropout": (
        "row_lstm.py:tuned",
        {
            "model.cell": "gru",
            "model.num_layers": 2,
            "model.dropout": 0.2,
            "model.recurrent_dropout": 0.1,
            "model.readout": "attention",
            "optimizer.name": "rmsprop",
        },
    ),
    "patches, layer norm": (
        "row_lstm.py:fast",
        {"model.sequence": "patches", "model.cell": "layer_norm_lstm", "model.readout": "mean"},
    ),
    "janet": ("row_lstm.py:tuned", {"model.cell": "janet", "model.readout": "max"}),
    "min_lstm": ("row_lstm.py:tuned", {"model.cell": "min_lstm", "loss.label_smoothing": 0.1}),
    "min_gru, per step": (
        "row_lstm.py:tuned",
        {"model.cell": "min_gru", "model.readout": "per_step", "loss.step_weight": 0.5},
    ),
    "windows": (
        "frame_lstm.py:motion",
        _CLIPS | {"data.window": 3, "data.window_stride": 2, "clips.min_frames": 4},
    ),
}
"""Config and fields by name of the case."""
TRAINED = {name: (name, fields) for name, fields in SHIPPED.items()} | MORE

RESUMED = "row_lstm.py:tuned"
"""The case that is also resumed half-way, and trained in two processes."""
EVALUATED = (
    "row_lstm.py:tuned",
    "frame_lstm.py:digit",
    "column_reader.py:clean",
    "seeds",
    "streamed",
    "min_gru, per step",
    "windows",
)
PREDICTED = ("row_lstm.py:tuned", "min_gru, per step", "column_reader.py:clean")
