"""Strict settings for every test: shapes checked, no silent promotion, two CPU devices."""

import atexit
import os
import shutil
import sys
import tempfile

# To compile takes most of the time, and programs of a few steps gain nothing by optimization, nor
# by XLA's newer way to write loops, which takes three times as long to compile, nor by programs
# that are compiled in parts, which takes a fifth longer.
QUICK_COMPILATION = "--xla_cpu_parallel_codegen_split_count=1"
if sys.version_info < (3, 12):  # The releases of jax for later ones have no other way.
    QUICK_COMPILATION += " --xla_cpu_use_fusion_emitters=false"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Before jax is imported anywhere: two devices, so that sharding is real in every test.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=2 {QUICK_COMPILATION}"
# Runs that are repeated, cut or resumed compile once. The workers share the first one's folder.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="seqvision-compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
# Programs that are started here compile the modules once, not each anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import jaxtyping

import tests.typechecker  # noqa: F401  (named below)

jaxtyping.install_import_hook("seqvision", "tests.typechecker.typechecker").__enter__()

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from filelock import FileLock
from ml_collections import ConfigDict

from configs import default
from seqvision.data.dataset import Dataset
from seqvision.data.sources.loading import Loading
from seqvision.data.sources.tfds import load_tfds

# Read by jax above; programs that are started here share their small ones, too.
if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" in os.environ:
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Python's collector took a seventh of the time: it looked again and again at what jax keeps.
gc.freeze()
gc.set_threshold(100_000, 50, 50)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


# The files that take longest, in this order: the workers end together when these come first. The
# first two do not wait for the same data.
LONGEST = (
    *("runtime/test_training_together.py", "test_main.py", "test_notebook.py", "test_train.py"),
    *("training/test_seed_runs.py", "training/test_replicas.py", "test_explain.py"),
    *("training/test_steps.py", "test_train_end.py"),
    *("models/test_line_reader.py", "sweeps/test_sweep.py", "models/test_sequences.py"),
    *("test_own_runs.py", "config/test_installed.py", "runtime/test_compilation_cache.py"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # Not by their number of tests.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    rank = {tests / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests (and all their processes) with MNIST prepared and decoded."""
    home = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent  # The workers' folders lie in one that they share.
    with FileLock(home / "data.lock"):  # Prepared and decoded by one of them.
        loading = Loading(cache_dir=home / "cache", say=lambda line: None)
        load_tfds("mnist", str(home / "tfds"), loading)
    return home


@pytest.fixture(scope="session")
def mnist(data_home: Path) -> Dataset:
    return load_tfds("mnist", str(data_home / "tfds"), Loading(cache_dir=data_home / "cache"))


@pytest.fixture
def small_config(data_home: Path) -> ConfigDict:
    """A run of a few seconds on real MNIST."""
    config = default.get_config()
    config.data.dir = str(data_home / "tfds")
    config.data.cache_dir = str(data_home / "cache")
    config.data.batch_size = 64
    config.data.validation_examples = 1000
    config.model.hidden_size = 16
    config.model.recurrent_init = "identity"  # An orthogonal matrix takes long to compile.
    config.duration = "12 steps"
    config.log_every = "5 steps"
    config.evaluate_every = "4 steps"
    config.checkpoint.every = "3 steps"
    config.augment.max_shift = 1.0
    config.ema_decay = 0.9
    return config


@pytest.fixture
def overrides(small_config: ConfigDict) -> Callable[[], list[str]]:
    """`small_config` as command-line arguments for `configs/default.py`."""
    return lambda: as_arguments(small_config)


def as_arguments(config: ConfigDict) -> list[str]:
    """A config as command-line arguments for `configs/default.py`."""
    shipped = default.get_config()
    leaves = []
    for name, values in config.items():
        if isinstance(values, ConfigDict):
            own = shipped[name].items()
            leaves += [f"{name}.{key}={values[key]}" for key, value in own if values[key] != value]
        elif values != shipped[name]:
            leaves.append(f"{name}={values}")
    return ["--config=configs/default.py", *(f"--config.{leaf}" for leaf in leaves)]


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 400 made images of four classes, 8 x 8."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    images = (rng.integers(0, 60, (400, 8, 8)) + 40 * labels[:, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("tiny") / "tiny.npz"
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture
def tiny_config(tiny_set: Path) -> ConfigDict:
    """A run of 12 steps on `tiny_set`, where the bits matter and the data does not."""
    config = default.get_config()
    config.data.source = "npz"
    config.data.path = str(tiny_set)
    config.data.batch_size = 12
    # The last batch of a split is not full, and no split is a multiple of the devices.
    config.data.eval_batch_size = 24
    config.data.validation_fraction = config.data.test_fraction = 0.2
    config.model.hidden_size = 8
    config.model.execution = "scan"
    config.model.recurrent_init = "identity"
    config.augment.max_shift = 1.0
    config.duration = "12 steps"
    config.log_every = config.evaluate_every = "4 steps"
    config.checkpoint.every = "2 steps"
    return config


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for each test, made by those that write into it."""
    homes = tmp_path_factory.mktemp("homes")
    return (homes / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _user_folders(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own cache or TFDS folder."""
    home = next(_homes)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(home / "tfds"))


def smaller(dataset: Dataset, num_train: int, num_test: int) -> Dataset:
    """The first examples of a data set."""
    splits = {
        "train": dataset.splits["train"].part(0, num_train),
        "test": dataset.splits["test"].part(0, num_test),
    }
    return dataclasses.replace(dataset, splits=splits)


@contextlib.contextmanager
def optimized() -> Iterator[None]:
    """Here programs are compiled as in ordinary runs."""
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
