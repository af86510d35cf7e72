"""Makes torch_networks.npz and keras_networks.npz: small random networks, and what they say.

    KERAS_BACKEND=jax python tests/data/weights/make_networks.py tests/data/weights

Made with torch 2.13.0, Keras 3.15.0 on jax 0.9.2, Python 3.11. Each network NAME has its arrays as
`NAME/array`, `NAME:inputs` and `NAME:probabilities`.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import torch
from torch import nn

INPUTS = {"rows": (3, 6, 4), "images": (3, 6, 6, 2)}
CLASSES = 3


class TorchReader(nn.Module):
    def __init__(self, kind, layers, bidirectional, has_cnn):
        super().__init__()
        self.cnn = nn.ModuleList([nn.Conv2d(2, 3, 3, padding=1)] if has_cnn else [])
        width = 3 * 3 * 3 if has_cnn else 4
        self.rnn = kind(width, 5, layers, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(10 if bidirectional else 5, CLASSES)

    def forward(self, inputs):
        for conv in self.cnn:
            inputs = nn.functional.max_pool2d(conv(inputs.permute(0, 3, 1, 2)).relu(), 2)
            inputs = inputs.flatten(1)[:, None]
        _, hidden = self.rnn(inputs)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        last = hidden[-2:] if self.rnn.bidirectional else hidden[-1:]
        return self.head(torch.cat(list(last), dim=-1)).softmax(-1)


def torch_networks(rng):
    networks = {
        "lstm": (nn.LSTM, 1, False, False),
        "lstm_stack": (nn.LSTM, 2, True, False),
        "gru_stack": (nn.GRU, 2, True, False),
        "cnn_lstm": (nn.LSTM, 1, False, True),
    }
    found = {}
    for name, (kind, layers, bidirectional, has_cnn) in networks.items():
        model = TorchReader(kind, layers, bidirectional, has_cnn)
        for parameter in model.parameters():
            values = rng.normal(scale=0.4, size=tuple(parameter.shape))
            parameter.data = torch.tensor(values, dtype=torch.float32)
        inputs = rng.random(INPUTS["images" if has_cnn else "rows"], np.float32)
        with torch.no_grad():
            said = model(torch.from_numpy(inputs)).numpy()
        found |= {f"{name}/{key}": value.numpy() for key, value in model.state_dict().items()}
        found |= {f"{name}:inputs": inputs, f"{name}:probabilities": said}
    return found


def keras_networks(rng):
    layers = keras.layers
    softmax = lambda: layers.Dense(CLASSES, activation="softmax")  # noqa: E731
    networks = {
        "lstm": ("rows", [layers.LSTM(5), softmax()]),
        "gru": ("rows", [layers.GRU(5, return_sequences=True), layers.GRU(5), softmax()]),
        "gru_before": ("rows", [layers.GRU(5, reset_after=False), softmax()]),
        "lstm_both": ("rows", [layers.Bidirectional(layers.LSTM(5)), softmax()]),
        "cnn_lstm": (
            "images",
            [
                layers.Conv2D(3, 3, padding="valid", activation="relu"),
                layers.MaxPooling2D(),
                layers.Reshape((1, -1)),
                layers.LSTM(5),
                softmax(),
            ],
        ),
    }
    found = {}
    for name, (kind, stack) in networks.items():
        model = keras.Sequential([keras.Input(INPUTS[kind][1:]), *stack])
        model.set_weights([rng.normal(scale=0.4, size=w.shape) for w in model.get_weights()])
        inputs = rng.random(INPUTS[kind], np.float32)
        found |= {f"{name}:inputs": inputs, f"{name}:probabilities": np.asarray(model(inputs))}
        path = Path(sys.argv[1]) / "scratch.weights.h5"
        model.save_weights(path)
        found |= {f"{name}/{key}": value for key, value in arrays_of(path).items()}
        path.unlink()
    return found


def arrays_of(path):
    import h5py

    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    np.savez_compressed(folder / "torch_networks.npz", **torch_networks(np.random.default_rng(0)))
    np.savez_compressed(folder / "keras_networks.npz", **keras_networks(np.random.default_rng(1)))
