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


@pytest.mark.parametrize("name", ["row_lstm", "streamed", "frame_lstm", "column_reader"])
def test_all_splits_offer_the_same(name: str, small_config: ConfigDict) -> None:
    settings = settings_of("row_lstm" if name == "streamed" else name, small_config)
    if name == "streamed":
        data = dataclasses.replace(settings.data, resident_bytes=1000)
        settings = dataclasses.replace(settings, data=data)
    dataset = load_dataset(settings, silent)
    assert list(dataset.splits) == ["train", "validation", "test"]
    split = dataset.split("validation")
    assert isinstance(split, Split)
    assert split.is_streamed == dataset.is_streamed == (split.arrays is None)
    assert split.names == ()
    found = jax.eval_shape(
        split.take, abstract_arrays(split, 7), jax.ShapeDtypeStruct((2,), np.int32)
    )
    assert found["inputs"].shape == (2, *dataset.input_shape)
    assert found["inputs"].dtype == np.uint8 and found["labels"].dtype == np.int32
    if name == "streamed":
        assert split.num_bytes == 5000 * 28 * 28
    elif name == "row_lstm":
        assert split.num_bytes == 5000 * (28 * 28 + 4)
    else:  # Made of the digits that were held out, scaled or cut out.
        digits, labels = split.arrays.digits, split.arrays.labels
        assert len(digits) == len(labels) == 5000
        assert split.num_bytes == digits.nbytes + labels.nbytes + split.arrays.key.nbytes
    if name in ("row_lstm", "streamed"):  # Of made ones: their own tests.
        examples = split.read(np.array([3, 0], np.int32))
        assert {k: (a.shape, a.dtype) for k, a in examples.items()} == {
            k: (a.shape, a.dtype) for k, a in found.items()
        }


def test_training_lines_may_be_full(small_config: ConfigDict) -> None:
    """`train_min_symbols` is for them alone, and gives way to `max_symbols`."""
    settings = settings_of("column_reader", small_config)
    for most, least in ((20, 10), (4, 4)):
        lines = dataclasses.replace(settings.lines, train_min_symbols=10, max_symbols=most)
        dataset = load_dataset(dataclasses.replace(settings, lines=lines), silent)
        recipes = {name: split.arrays.recipe[0] for name, split in dataset.splits.items()}
        assert {recipe.min_symbols for recipe in recipes["train"]} == {least}
        assert recipes["test"][0].min_symbols == 1
        assert recipes["test"][0].max_symbols == most
