"""MNIST and Fashion-MNIST: rows, pixels and strings of digits, beside what sources found.

    python main.py --config=configs/tables/mnist.py --mode=table

Rows that would take longer than `--run_minutes` a seed say how long. `--rows=book` takes one.
"""

from ml_collections import ConfigDict

from configs import column_reader, pixel_lstm, row_lstm
from seqvision.tables.rows import Row

_BENCHMARK = "RNN architecture benchmark, 128 units"
_PIXELS = "arXiv 1910.09890 as quoted in 2111.00396"


def get_config(variant: str = "benchmark") -> ConfigDict:
    kind, _, of = variant.partition("-")
    if kind == "rows":
        return row_lstm.get_config(of)
    if kind == "pixels":
        config = pixel_lstm.get_config(of)
        config.log_every = "5 steps"  # Soon shows how long it would take.
        return config
    if kind == "reader":
        return column_reader.get_config(of)
    if variant not in ("benchmark", "fashion"):
        raise ValueError(f"variant '{variant}' is not known")
    config = row_lstm.get_config("book")
    config.data.validation_examples = 5000
    config.duration = "50 epochs"
    config.early_stopping.patience = 5
    config.checkpoint.keep_best = True
    if variant == "fashion":
        config.data.name = "fashion_mnist"
    return config


def get_table() -> list[Row]:
    stopping = "early stopping on 5,000 validation images after 5 epochs without a better one"
    of_fashion = "an LSTM over rows with a softmax, not a GRU with an SVM"
    h200 = "measured once on one H200"
    pixels = {
        "lstm": {"model.gate_init": "constant", "model.refine_gates": False},
        "ur_lstm": {},
    }
    return [
        Row("rows_lstm", _BENCHMARK, "98.82 ± 0.13", stopping, "benchmark", seeds=5),
        Row(
            *("rows_gru", _BENCHMARK, "98.97 ± 0.06", stopping, "benchmark"),
            overrides={"model.cell": "gru"},
            seeds=5,
        ),
        Row("estimator", "TensorFlow 1 program", "95.14 (1 epoch)", "5 epochs", "rows-estimator"),
        Row("book", "network of the book", "94.35 (2 epochs)", "10 epochs", "rows-book"),
        Row("fashion_lstm", "fashion-mnist README", "88.8; 89.7 (dropout)", of_fashion, "fashion"),
        Row(
            *("smnist_lstm", _PIXELS, "98.9", f"{h200}: 97.81 % after 37 epochs", "pixels-full"),
            overrides=pixels["lstm"],
        ),
        Row(
            *("psmnist_lstm", _PIXELS, "95.11", f"{h200}: 93.18 % after 51 epochs"),
            "pixels-permuted",
            overrides=pixels["lstm"],
        ),
        Row("smnist_ur_lstm", _PIXELS, "99.28", "", "pixels-full"),
        Row("psmnist_ur_lstm", _PIXELS, "96.96", "", "pixels-permuted"),
        Row(
            "strings_ctc",
            differs="no standard benchmark; character error rate",
            variant="reader-quick",
        ),
    ]
