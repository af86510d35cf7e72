"""Features of frames by PyTorch or Keras; in a process of its own, with its own Python.

    PYTHON benchmarks/speed/contenders/frame_features.py CONTENDER FRAMES SIDE THREADS WEIGHTS

It prints JSON: seconds, and the first features. It imports nothing of this project.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np

_BATCH = 32


def frames(count: int, side: int) -> np.ndarray:
    """Made frames (count, side, side, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def torch_features(weights: str, threads: int, batch_size: int, channels_last: bool) -> Any:
    """EfficientNet-Lite0 of efficientnet-lite-pytorch: frames to features."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]

    torch.set_num_threads(threads)
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)

    def compute(images: np.ndarray) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                part = torch.from_numpy(images[start : start + batch_size]).permute(0, 3, 1, 2)
                inputs = ((part.float() - 127) / 128).contiguous(memory_format=layout)
                found.append(network.extract_features(inputs).mean((2, 3)).numpy())
        return np.concatenate(found)

    return compute


def keras_features(threads: int, side: int) -> Any:
    """MobileNetV3-Small, one `predict` call a frame, as keras-io's video example."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import torch

    torch.set_num_threads(threads)
    network = keras.applications.MobileNetV3Small(
        (side, side, 3), weights=None, include_top=False, pooling="avg"
    )

    def compute(images: np.ndarray) -> np.ndarray:
        one = [network.predict(image[None].astype(np.float32), verbose=0) for image in images]
        return np.concatenate(one)

    return compute


def main() -> None:
    contender, count, side, threads, weights = sys.argv[1:]
    images = frames(int(count), int(side))
    compute = {
        "pytorch": lambda: torch_features(weights, int(threads), _BATCH, channels_last=True),
        "pytorch_nchw": lambda: torch_features(weights, int(threads), _BATCH, channels_last=False),
        "pytorch_frame": lambda: torch_features(weights, int(threads), 1, channels_last=True),
        "keras_frame": lambda: keras_features(int(threads), int(side)),
    }[contender]()
    compute(images[: 2 * _BATCH if "frame" not in contender else 2])
    start = time.perf_counter()
    features = compute(images)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "first": np.asarray(features[0]).tolist()}))


if __name__ == "__main__":
    main()
