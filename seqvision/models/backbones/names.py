"""Names of the backbones' arrays in files of torchvision, timm and EfficientNet-PyTorch."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from seqvision.models.backbones.inverted import LITE_BLOCKS, SMALL_BLOCKS, Block

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


class Naming(NamedTuple):
    """How a library names the arrays of one network.

    Attributes:
      library: what it is called.
      layers: of each layer of ours, the names of its convolution and of its batch normalisation
        (or of a linear layer, and ""), without `.weight`.
      epsilon: of its batch normalisation.
      scaling: mean and standard deviation of its inputs in [0, 1], for each channel.
      classifier: how the names of the layers begin that we have not.
    """

    library: str
    layers: dict[str, tuple[str, str]]
    epsilon: float
    scaling: tuple[tuple[float, ...], tuple[float, ...]]
    classifier: str


def namings(network: str) -> list[Naming]:
    """How the arrays of a network, by its name in `BACKBONES`, may be named."""
    if network.startswith("resnet"):
        layers = dict(_resnet((2, 2, 2, 2) if network == "resnet18" else (3, 4, 6, 3), network))
        return [Naming("torchvision and timm", layers, 1e-5, IMAGENET, "fc.")]
    if network == "mobilenet_v3_small":
        return [
            Naming("torchvision", dict(_torchvision_small()), 1e-3, IMAGENET, "classifier."),
            # timm's last convolution is behind the mean: it belongs to the classifier.
            Naming("timm", dict(_timm(SMALL_BLOCKS)), 1e-5, IMAGENET, "c(onv_head|lassifier)."),
        ]
    timm = dict(_timm(LITE_BLOCKS))
    if network == "efficientnet_lite0":
        return [Naming("timm", timm, 1e-5, IMAGENET, "classifier.")]
    return [
        Naming("EfficientNet-PyTorch", dict(_efficientnet()), 1e-3, LITE, "_fc."),
        Naming("timm", timm, 1e-3, HALF, "classifier."),
    ]


Names = Iterator[tuple[str, tuple[str, str]]]


def _resnet(sizes: tuple[int, ...], network: str) -> Names:
    yield "stem", ("conv1", "bn1")
    convolutions = 2 if network == "resnet18" else 3
    for stage, size in enumerate(sizes, 1):
        for number in range(size):
            ours, theirs = f"stage_{stage}_block_{number}", f"layer{stage}.{number}"
            for conv in range(1, convolutions + 1):
                yield f"{ours}/conv_{conv}", (f"{theirs}.conv{conv}", f"{theirs}.bn{conv}")
            if number == 0 and (stage > 1 or convolutions == 3):
                names = f"{theirs}.downsample.0", f"{theirs}.downsample.1"
                yield f"{ours}/shortcut", names


def _channels_before(blocks: tuple[Block, ...], stem: int) -> list[int]:
    return [stem, *(block.channels for block in blocks[:-1])]


def _torchvision_small() -> Names:
    yield "stem", ("features.0.0", "features.0.1")
    for number, block in enumerate(SMALL_BLOCKS):
        base, part = f"features.{number + 1}.block", 0
        expands = block.expanded != _channels_before(SMALL_BLOCKS, 16)[number]
        for layer in ("expand",) * expands + ("depthwise",):
            yield f"block_{number}/{layer}", (f"{base}.{part}.0", f"{base}.{part}.1")
            part += 1
        if block.squeezed:
            yield f"block_{number}/squeeze/reduce", (f"{base}.{part}.fc1", "")
            yield f"block_{number}/squeeze/expand", (f"{base}.{part}.fc2", "")
            part += 1
        yield f"block_{number}/project", (f"{base}.{part}.0", f"{base}.{part}.1")
    last = len(SMALL_BLOCKS) + 1
    yield "head", (f"features.{last}.0", f"features.{last}.1")


def _timm(blocks: tuple[Block, ...]) -> Names:
    is_small = blocks is SMALL_BLOCKS
    yield "stem", ("conv_stem", "bn1")
    groups: dict[int, int] = {}
    for number, block in enumerate(blocks):
        group, expanded = block.stage - 1, block.expanded
        if is_small:  # Its groups end where the channels change.
            group = (0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4)[number]
        base = f"blocks.{group}.{groups.setdefault(group, 0)}"
        groups[group] += 1
        expands = expanded != _channels_before(blocks, 16 if is_small else 32)[number]
        if expands:
            yield f"block_{number}/expand", (f"{base}.conv_pw", f"{base}.bn1")
        yield f"block_{number}/depthwise", (f"{base}.conv_dw", f"{base}.bn{1 + expands}")
        if block.squeezed:
            yield f"block_{number}/squeeze/reduce", (f"{base}.se.conv_reduce", "")
            yield f"block_{number}/squeeze/expand", (f"{base}.se.conv_expand", "")
        last = f"{base}.conv_pwl" if expands else f"{base}.conv_pw"
        yield f"block_{number}/project", (last, f"{base}.bn{2 + expands}")
    yield "head", ("blocks.5.0.conv", "blocks.5.0.bn1") if is_small else ("conv_head", "bn2")


def _efficientnet() -> Names:
    yield "stem", ("_conv_stem", "_bn0")
    for number, block in enumerate(LITE_BLOCKS):
        base = f"_blocks.{number}"
        if block.expanded != _channels_before(LITE_BLOCKS, 32)[number]:
            yield f"block_{number}/expand", (f"{base}._expand_conv", f"{base}._bn0")
        yield f"block_{number}/depthwise", (f"{base}._depthwise_conv", f"{base}._bn1")
        yield f"block_{number}/project", (f"{base}._project_conv", f"{base}._bn2")
    yield "head", ("_conv_head", "_bn1")


def is_left_out(naming: Naming, name: str) -> bool:
    """Whether an array of a file is none of ours: of the classifier, or a count of batches."""
    return name.endswith("num_batches_tracked") or bool(re.match(naming.classifier, name))
