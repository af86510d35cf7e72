"""Makes the small files beside it, each with the library whose form it has.

    python -m tests.data.weights.make_fixtures torch       # torch 2.13.0, safetensors 0.8.0
    python -m tests.data.weights.make_fixtures keras       # keras 3.15.0 on jax 0.9.2, h5py 3.16.0
    python -m tests.data.weights.make_fixtures tensorflow  # tensorflow-cpu 2.21.0

Run it in an environment with that library, from the repository root. What is in them follows from
the names (`values`), so the tests know it without the library.
"""

import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers of an array, by its name: multiples of 1/16, which bfloat16 holds."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return (rng.integers(-31, 32, shape) / 16).astype(np.float32)


def make_torch() -> None:
    import torch
    from safetensors.torch import save_file

    network = torch.nn.ModuleDict(
        {"lstm": torch.nn.LSTM(3, 4, num_layers=2), "out": torch.nn.Linear(4, 2)}
    )
    state = network.state_dict()
    for name, tensor in state.items():
        tensor.copy_(torch.from_numpy(values(name, tuple(tensor.shape))))
    torch.save(state, HERE / "lstm.pt")
    torch.save({"epoch": 3, "state_dict": state, "lr": 0.1}, HERE / "checkpoint.pth")
    torch.save(state, HERE / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(network, HERE / "module.pt")
    save_file(state, HERE / "lstm.safetensors", metadata={"format": "pt"})
    matrix = torch.from_numpy(values("matrix", (3, 4)))
    views = {
        "matrix": matrix,
        "transposed": matrix.T,
        "corner": matrix[1:, 2:],
        "bfloat16": torch.from_numpy(values("bfloat16", (5,))).bfloat16(),
        "float16": torch.from_numpy(values("float16", (5,))).half(),
        "float64": torch.from_numpy(values("float64", (5,))).double(),
        "int64": torch.tensor([1, -2, 2**40]),
        "int8": torch.tensor([1, -2], dtype=torch.int8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.from_numpy(values("parameter", (2,)))),
    }
    torch.save(views, HERE / "views.pt", pickle_protocol=4)
    names = ("matrix", "bfloat16", "float16", "float64", "int64", "int8", "bool", "scalar")
    kept = {name: views[name] for name in names}
    save_file(kept, HERE / "views.safetensors")


def make_keras() -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True), name="both"),
            keras.layers.GRU(2, name="gru"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(values(variable.path, tuple(variable.shape)))
    model.save(HERE / "model.keras")
    model.save(HERE / "legacy.h5")
    model.save_weights(HERE / "model.weights.h5")


def make_tensorflow() -> None:
    import tensorflow as tf

    tf1 = tf.compat.v1

    def save(folder: str, variables: Any) -> None:
        with tf1.Graph().as_default(), tf1.Session() as session:
            variables()
            session.run(tf1.global_variables_initializer())
            (HERE / folder).mkdir(exist_ok=True)
            saver = tf1.train.Saver()
            prefix = str(HERE / folder / "model.ckpt")
            saver.save(session, prefix, write_meta_graph=False, write_state=False)

    def partitioned() -> None:
        for name, shape, split in (("rows", (7, 3), [3, 1]), ("columns", (2, 200), [1, 2])):
            tf1.get_variable(
                name,
                shape,
                initializer=lambda shape, dtype, partition_info, name=name, whole=shape: values(
                    name, whole
                )[
                    tuple(
                        slice(start, start + size)
                        for start, size in zip(partition_info.var_offset, shape, strict=True)
                    )
                ],
                partitioner=tf1.fixed_size_partitioner(max(split), axis=int(np.argmax(split))),
                use_resource=False,
            )
        tf1.get_variable("half", initializer=tf.constant(values("half", (5,)), tf.bfloat16))
        tf1.get_variable("label", initializer=tf.constant(["text", "more"]))
        tf1.get_variable("flag", initializer=tf.constant([True, False]))

    save("partitioned", partitioned)
    names = [f"layer_{number}/a_rather_long_name_of_a_kernel" for number in range(150)]
    save("many", lambda: [tf1.get_variable(n, initializer=values(n, (2,))) for n in names])
    prefixes = [str(HERE / "shards" / f"part{i}") for i in range(2)]
    (HERE / "shards").mkdir(exist_ok=True)
    for number, prefix in enumerate(prefixes):
        name = f"w{number}"
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=[name],
            shape_and_slices=[""],
            tensors=[tf.constant(values(name, (3,)))],
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes,
        destination_prefix=str(HERE / "shards" / "model.ckpt"),
        delete_old_dirs=False,
    )
    layer = tf.Variable(values("w", (2, 3)))
    tf.train.Checkpoint(w=layer).write(str(HERE / "objects" / "ckpt"))


if __name__ == "__main__":
    {"torch": make_torch, "keras": make_keras, "tensorflow": make_tensorflow}[sys.argv[1]]()
