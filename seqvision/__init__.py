"""Recurrent vision in JAX: images and clips read as sequences.

The public names are imported when they are first used, so that `import seqvision` needs no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqvision.errors import UserError
    from seqvision.evaluate import evaluate_run
    from seqvision.inference.pen_line import PenLine
    from seqvision.inference.predictor import Predictor
    from seqvision.inference.stream_classifier import StreamClassifier
    from seqvision.inference.stream_reader import StreamReader
    from seqvision.inference.transcriber import Transcriber
    from seqvision.report import write_report
    from seqvision.runtime.cpu_devices import prepare_host
    from seqvision.train import train_and_evaluate

__version__ = "0.2.0"

__all__ = [
    "PenLine",
    "Predictor",
    "StreamClassifier",
    "StreamReader",
    "Transcriber",
    "UserError",
    "__version__",
    "evaluate_run",
    "prepare_host",
    "train_and_evaluate",
    "write_report",
]

_MODULES = {
    "PenLine": "inference.pen_line",
    "Predictor": "inference.predictor",
    "StreamClassifier": "inference.stream_classifier",
    "StreamReader": "inference.stream_reader",
    "Transcriber": "inference.transcriber",
    "UserError": "errors",
    "evaluate_run": "evaluate",
    "prepare_host": "runtime.cpu_devices",
    "train_and_evaluate": "train",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'seqvision' has no attribute '{name}'")
    return getattr(importlib.import_module(f"seqvision.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
