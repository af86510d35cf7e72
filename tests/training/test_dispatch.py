"""Between two logs nothing is compiled, and nothing is moved but what is said to be."""

import logging
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset
from seqvision.train import train_and_evaluate
from seqvision.training.from_config import create_dispatcher, create_training


def compiled(log: pytest.LogCaptureFixture) -> list[str]:
    """The programs that were compiled (or read back) since the log was cleared, in order."""
    messages = [record.getMessage() for record in log.records]
    return [text.split("of ")[1].split()[0] for text in messages if "XLA compilation" in text]


def test_calls_between_logs_compile_nothing_and_move_nothing_unsaid(
    small_config: ConfigDict, mnist: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    small_config.duration, small_config.log_every = "40 steps", "40 steps"
    small_config.evaluate_every = small_config.checkpoint.every = "never"
    settings = validate(small_config)
    setup = create_training(settings, mnist)
    state = setup.replicas.create_state(setup.init, setup.mesh)
    dispatcher = create_dispatcher(settings, setup, mnist)
    state, _ = dispatcher.advance(state, 0)  # Compiles.
    step, num_calls = 10, 0
    with (
        caplog.at_level(logging.WARNING),
        jax.log_compiles(),
        jax.transfer_guard("disallow"),
    ):
        while step < 40:
            state, finite = dispatcher.advance(state, step)
            step, num_calls = int(jax.device_get(state.step)), num_calls + 1
            assert finite
        assert compiled(caplog) == []
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            jax.jit(jax.numpy.negative)(np.ones(3, np.float32))  # The guard would have noticed.
    assert num_calls >= 2  # Ten steps, then as many as fit.


def test_a_run_compiles_each_of_its_programs_once(
    small_config: ConfigDict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small_config.schedule.name = "cosine"
    small_config.schedule.warmup = "2 steps"
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        assert train_and_evaluate(small_config, tmp_path).status == "done"
    # One for each size of split; orbax slices each array when it saves.
    programs = [name for name in compiled(caplog) if name != "jit(slice)"]
    assert sorted(programs) == [
        "jit(eval_step)",
        "jit(eval_step)",
        "jit(init)",
        "jit(schedule)",
        "jit(train_steps)",
    ]
