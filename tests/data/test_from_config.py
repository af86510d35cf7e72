"""The data set that a config asks for."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import Split
from seqvision.data.device_feed import abstract_arrays
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError


def silent(line: str) -> None: ...


def settings_of(name: str, small_config: ConfigDict) -> Settings:
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.dir, config.data.cache_dir = small_config.data.dir, small_config.data.cache_dir
    return validate(config)


def test_an_unknown_source_is_an_error(small_config: ConfigDict) -> None:
    """Whatever the schema allows: nothing trains on MNIST that did not ask for it."""
    settings = validate(small_config)
    for source, end in (("lmdb", "digit_lines"), ("npzz", r"digit_lines; did you mean 'npz'\?")):
        data = dataclasses.replace(settings.data, source=source)
        with pytest.raises(
            UserError,
            match=f"config.data.source: '{source}' is not known; choose one of tfds, .*{end}$",
        ):
            load_dataset(dataclasses.replace(settings, data=data), silent)


@pytest.mark.parametrize("name", ["row_lstm", "frame_lstm", "column_reader"])
def test_validation_examples_are_of_held_out_digits(name: str, small_config: ConfigDict) -> None:
    splits = load_dataset(settings_of(name, small_config), silent).splits
    labels = [
        split.arrays["labels"] if name == "row_lstm" else split.arrays.labels
        for split in (splits["train"], splits["validation"], splits["test"])
    ]
    assert [len(array) for array in labels] == [55_000, 5000, 10_000]


@pytest.mark.parametrize("name", ["row_lstm", "streamed", "frame_lstm", "column_reader"])
def test_all_splits_offer_the_same(name: str, small_config: ConfigDict) -> None:
    settings = settings_of("row_lstm" if name == "streamed" else name, small_config)
    if name == "streamed":
        data = dataclasses.replace(settings.data, resident_bytes=1000)
        settings = dataclasses.replace(settings, data=data)
    dataset = load_dataset(settings, silent)
    split, indices = dataset.split("validation"), np.array([3, 0], np.int32)
    assert isinstance(split, Split)
    assert split.is_streamed == dataset.is_streamed == (split.arrays is None)
    assert split.names == ()
    examples = split.read(indices)
    assert examples["inputs"].shape == (2, *dataset.input_shape)
    shapes = jax.eval_shape(
        split.take, abstract_arrays(split, 7), jax.ShapeDtypeStruct((2,), np.int32)
    )
    assert shapes.keys() == examples.keys()
    for key, array in examples.items():
        assert (array.shape, array.dtype) == (shapes[key].shape, shapes[key].dtype)
    size = 28 * 28 if name == "streamed" else 28 * 28 + 4
    if name in ("row_lstm", "streamed"):
        assert split.num_bytes == 5000 * size
    else:
        assert split.num_bytes < 5000 * size  # The digits, scaled or cut out.
