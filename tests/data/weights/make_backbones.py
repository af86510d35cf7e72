"""Features that torchvision, timm and EfficientNet-PyTorch compute with made weights.

    python -m tests.data.weights.make_backbones

Needs torch, torchvision, timm and efficientnet-lite-pytorch. It wrote `backbones.npz` with torch
2.13.0, torchvision 0.29.1, timm 1.0.31 and efficientnet-lite-pytorch 0.1.0.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "backbones.npz"
KEPT = 8
"""Of so many features, the first."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,) * 3, (0.5,) * 3
LITE = (127 / 255,) * 3, (128 / 255,) * 3


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a state_dict: a function of its name and shape."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) > 1:
        return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith("weight"):
        return rng.uniform(0.7, 1.3, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def images() -> np.ndarray:
    """Two images (2, 64, 48, 3) in [0, 1]."""
    return np.random.default_rng(1).uniform(size=(2, 64, 48, 3)).astype(np.float32)


def main() -> None:
    import timm
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from torchvision import models

    def features(network: Any, layers: Any, scaling: Any) -> np.ndarray:
        arrays = network.state_dict()
        made = {
            name: torch.from_numpy(weights(name, tuple(array.shape)))
            for name, array in arrays.items()
            if not name.endswith("num_batches_tracked")
        }
        network.load_state_dict(arrays | made)
        network.eval()
        mean, std = (torch.tensor(values)[:, None, None] for values in scaling)
        with torch.no_grad():
            maps = (torch.from_numpy(images()).permute(0, 3, 1, 2) - mean) / std
            for layer in layers(network):
                maps = layer(maps)
        return maps.mean((2, 3)).numpy()[:, ::KEPT]

    def resnet(n: Any) -> Any:
        return n.conv1, n.bn1, n.relu, n.maxpool, n.layer1, n.layer2, n.layer3, n.layer4

    def of_timm(n: Any) -> Any:
        return n.conv_stem, n.bn1, n.blocks, n.conv_head, n.bn2

    small = timm.create_model("mobilenetv3_small_100")
    # Padded for 64x48, as `from_name` pads for 224x224.
    lite = EfficientNet.from_name("efficientnet-lite0", image_size=(64, 48))
    found = {
        "resnet18 torchvision": features(models.resnet18(), resnet, IMAGENET),
        "resnet50 torchvision": features(models.resnet50(), resnet, IMAGENET),
        "mobilenet_v3_small torchvision": features(
            models.mobilenet_v3_small(), lambda n: [n.features], IMAGENET
        ),
        "mobilenet_v3_small timm": features(
            small, lambda n: (n.conv_stem, n.bn1, n.blocks), IMAGENET
        ),
        "efficientnet_lite0 timm": features(
            timm.create_model("efficientnet_lite0"), of_timm, IMAGENET
        ),
        "tf_efficientnet_lite0 timm": features(
            timm.create_model("tf_efficientnet_lite0"), of_timm, HALF
        ),
        "tf_efficientnet_lite0 EfficientNet-PyTorch": features(
            lite, lambda n: [n.extract_features], LITE
        ),
    }
    np.savez_compressed(FILE, **found)
    for name, array in found.items():
        print(name, array.shape, np.abs(array).mean(), array.std(axis=0).mean())


if __name__ == "__main__":
    main()
