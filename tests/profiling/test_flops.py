"""Floating-point operations of a function, by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.profiling.flops import count_flops
from seqvision.runtime.mesh import create_mesh
from seqvision.runtime.native_library import compiler
from seqvision.training.from_config import create_training


@pytest.mark.parametrize("execution", ["fused", *["native"] * bool(compiler())])
def test_training_flops_of_the_row_lstm_by_hand(tiny_config: ConfigDict, execution: str) -> None:
    tiny_config.augment.max_shift, tiny_config.model.execution = 0.0, execution
    settings = validate(tiny_config)
    dataset = load_dataset(settings)
    train = dataset.split("train")
    setup = create_training(settings, dataset)
    arguments = (
        setup.replicas.abstract_state(setup.init, setup.mesh),
        jax.eval_shape(lambda: train.arrays),
        jax.ShapeDtypeStruct((1, 12), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.int32),
    )
    counted = count_flops(setup.train_steps, *arguments) / 12
    # The bias is one more row of the fused product, for an input of ones.
    steps, inputs, hidden, classes = 8, 8 + 1, 8, 4
    forward = 2 * (steps * (inputs + hidden) * 4 * hidden + hidden * classes)
    # The gradient of a product is two products; that for the images themselves is not wanted.
    unwanted = 2 * steps * inputs * 4 * hidden
    assert counted == 3 * forward - unwanted


def test_flops_of_all_devices() -> None:
    mesh = create_mesh()
    own, everywhere = PartitionSpec("data"), PartitionSpec()

    def product(a: Any, b: Any) -> Any:
        return jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(own, everywhere), out_specs=own)(a, b)

    assert mesh.size == 2
    assert count_flops(product, jnp.zeros((6, 4)), jnp.zeros((4, 5))) == 2 * 6 * 4 * 5
