"""Code of a card: the classifier as a module of PyTorch, which loads `model.safetensors`."""

from seqvision.config.model_schema import Model
from seqvision.weights.layers import Layers

_CODE = '''\
import json, pathlib, numpy as np, torch
from safetensors.torch import load_file
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
{modules}

    def forward(self, images):
        """Bytes (batch, {height}, {width}, {channels}) to logits (batch, {classes})."""
        pixels = images.float() / 255
{steps}
        outputs, _ = self.rnn(steps)
        return self.classifier({readout})


network = Network()
network.load_state_dict(load_file("model.safetensors"))
network.eval()
facts = json.loads(pathlib.Path("network.json").read_text(encoding="utf-8"))
inputs = np.zeros({inputs}, np.uint8)  # Yours: images, as many as you like.
with torch.no_grad():
    probabilities = network(torch.from_numpy(inputs)).softmax(dim=1).numpy()
answer = facts["classes"][probabilities[0].argmax()]
print(answer)
'''

_STEPS = {
    "rows": ["steps = pixels.flatten(2)"],
    "columns": ["steps = pixels.transpose(1, 2).flatten(2)"],
    "pixels": ["steps = pixels.flatten(1, 2)"],
    "permuted_pixels": [
        "order = np.random.RandomState(0).permutation({height} * {width})",
        "steps = pixels.flatten(1, 2)[:, order]",
    ],
    "patches": [
        "tiles = pixels.unflatten(2, (-1, {size})).unflatten(1, (-1, {size})).transpose(2, 3)",
        "steps = tiles.flatten(3).flatten(1, 2)",
    ],
    "cnn": [
        "maps = pixels.permute(0, 3, 1, 2)",
        "for conv in ({convs}):",
        "    maps = nn.functional.max_pool2d(conv(maps).relu(), 2, ceil_mode={is_same})",
        "steps = maps.flatten(1)[:, None]",
    ],
}


def torch_code(model: Model, layers: Layers, shape: tuple[int, ...]) -> str:
    """Python that ends with `probabilities` (batch, K) and `answer`.

    Args:
      model: `config.model`.
      layers: the weights, whose sizes the module has.
      shape: (height, width, channels) of an image.
    """
    height, width, channels = shape
    is_same, first = model.cnn_padding == "same", layers.recurrent[0]
    size, sides = first.hidden_size, len(first.directions)
    num_features, num_classes = layers.classifier["kernel"].array.shape
    modules = []
    for number, block in enumerate(layers.convolutions):
        before, after = block["kernel"].array.shape[2:]
        padding = int(is_same)
        modules.append(f"conv_{number} = nn.Conv2d({before}, {after}, 3, padding={padding})")
    options = f", num_layers={len(layers.recurrent)}" if len(layers.recurrent) > 1 else ""
    options += ", batch_first=True" + (", bidirectional=True" if sides == 2 else "")
    modules.append(f"rnn = nn.{model.cell.upper()}({first.input_size}, {size}{options})")
    modules.append(f"classifier = nn.Linear({num_features}, {num_classes})")
    readouts = {"last": "outputs[:, -1]", "mean": "outputs.mean(1)", "max": "outputs.amax(1)"}
    if sides == 2:  # Backward, the last step that is read is the first one.
        readouts["last"] = f"torch.cat([outputs[:, -1, :{size}], outputs[:, 0, {size}:]], 1)"
    names = [f"self.conv_{number}" for number in range(len(layers.convolutions))]
    steps = "\n".join(f"        {line}" for line in _STEPS[model.sequence])
    return _CODE.format(
        modules="\n".join(f"        self.{module}" for module in modules),
        height=height,
        width=width,
        channels=channels,
        classes=num_classes,
        steps=steps.format(
            height=height,
            width=width,
            size=model.patch_size,
            convs=", ".join(names) + ("," if len(names) == 1 else ""),
            is_same=is_same,
        ),
        readout=readouts[model.readout],
        inputs=(1, *shape),
    )
