"""Code of a card: the classifier as a Sequential of Keras, which loads `model.weights.h5`."""

from seqvision.config.model_schema import Model
from seqvision.weights.keras_layers import CLASSES
from seqvision.weights.layers import Layers

_CODE = """\
import json, pathlib, keras, numpy as np
from keras import layers

network = keras.Sequential(
    [
{stack}
    ]
)
network.load_weights("model.weights.h5")
facts = json.loads(pathlib.Path("network.json").read_text(encoding="utf-8"))
inputs = np.zeros({inputs}, np.uint8)  # Yours: images, as many as you like.
probabilities = network.predict(inputs, verbose=0)
answer = facts["classes"][probabilities[0].argmax()]
print(answer)
"""

_ORDER = """\
order = np.random.RandomState(0).permutation({count})
network = """


def keras_code(model: Model, layers: Layers, shape: tuple[int, ...]) -> str:
    """Python that ends with `probabilities` (batch, K) and `answer`.

    Args:
      model: `config.model`.
      layers: the weights, whose sizes the layers have.
      shape: (height, width, channels) of an image.
    """
    num_classes = layers.classifier["bias"].array.shape[0]
    stack = [
        f"keras.Input({shape})",
        "layers.Rescaling(1 / 255)",
        *_steps(model, layers, shape),
        *_recurrent(model, layers),
        f'layers.Dense({num_classes}, activation="softmax")',
    ]
    code = _CODE.format(stack="\n".join(f"        {layer}," for layer in stack), inputs=(1, *shape))
    if model.sequence == "permuted_pixels":
        code = code.replace("network = ", _ORDER.format(count=shape[0] * shape[1]), 1)
    return code


def _steps(model: Model, layers: Layers, shape: tuple[int, ...]) -> list[str]:
    """Layers from images to (batch, steps, features)."""
    height, width, channels = shape
    size, padding = model.patch_size, f'padding="{model.cnn_padding}"'
    pixels = f"layers.Reshape({(height * width, channels)})"
    if model.sequence == "cnn":
        stack = []
        for block in layers.convolutions:
            count = block["bias"].array.shape[0]
            stack.append(f'layers.Conv2D({count}, 3, {padding}, activation="relu")')
            stack.append(f"layers.MaxPooling2D({padding})")
        return [*stack, "layers.Reshape((1, -1))"]
    if model.sequence == "patches":
        down, across = height // size, width // size
        return [
            f"layers.Reshape({(down, size, across, size * channels)})",
            "layers.Permute((1, 3, 2, 4))",
            f"layers.Reshape({(down * across, size * size * channels)})",
        ]
    return {
        "rows": [f"layers.Reshape({(height, width * channels)})"],
        "columns": [
            "layers.Permute((2, 1, 3))",
            f"layers.Reshape({(width, height * channels)})",
        ],
        "pixels": [pixels],
        "permuted_pixels": [
            pixels,
            "layers.Lambda(lambda pixels: keras.ops.take(pixels, order, axis=1))",
        ],
    }[model.sequence]


def _recurrent(model: Model, layers: Layers) -> list[str]:
    """The recurrent layers, and what sums up their outputs."""
    stack = []
    for number, layer in enumerate(layers.recurrent):
        is_final = number == len(layers.recurrent) - 1 and model.readout == "last"
        options = "" if is_final else ", return_sequences=True"
        if layer.cell == "gru_reset_before":
            options += ", reset_after=False"
        text = f"layers.{CLASSES[layer.cell]}({layer.hidden_size}{options})"
        stack.append(f"layers.Bidirectional({text})" if len(layer.directions) == 2 else text)
    pooled = {"mean": ["layers.GlobalAveragePooling1D()"], "max": ["layers.GlobalMaxPooling1D()"]}
    return stack + pooled.get(model.readout, [])
