"""The part of a seqvision config that the peers can follow."""

import dataclasses
import runpy
from pathlib import Path

from benchmarks.accuracy.recipe import Recipe
from benchmarks.accuracy.start import GATE_INITS
from configs import default
from seqvision.config.step_counts import Steps
from seqvision.config.validation import flatten, validate
from seqvision.errors import UserError, first_line

_TRAIN_EXAMPLES = 60000  # MNIST.
_CARRIED = (
    "duration",
    "data.batch_size",
    "data.validation_examples",
    "model.hidden_size",
    "model.forget_bias",
    "optimizer.learning_rate",
    "optimizer.clip_norm",
    "schedule.",
)
# How it is computed, recorded and evaluated: no part of what is learned.
_WITHOUT_EFFECT = ("seed", "log_every", "evaluate_every", "checkpoint.", "data.eval_batch_size")


def recipe_of(path: str) -> tuple[Recipe, dict[str, object]]:
    """The recipe `ours` of a config file.

    Args:
      path: FILE or FILE:VARIANT.

    Returns:
      The recipe, and the fields that it leaves out: those besides that are not the defaults.

    Raises:
      UserError: there is no such config, or its schedule is not `one_cycle`.
    """
    file, _, variant = path.partition(":")
    if not Path(file).is_file():
        raise UserError(f"--config: there is no file '{file}'")
    try:
        config = runpy.run_path(file)["get_config"](*[variant] * bool(variant))
    except Exception as error:  # Whatever the file raises.
        raise UserError(f"--config: {path} does not load: {first_line(error)}") from None
    settings = validate(config)
    if settings.schedule.name != "one_cycle":
        raise UserError(
            f"--config: its schedule is '{settings.schedule.name}'; the peers know one_cycle only"
        )
    train_examples = _TRAIN_EXAMPLES - settings.data.validation_examples
    steps = Steps.of(settings, train_examples)
    recipe = Recipe(
        recipe="ours",
        hidden_size=settings.model.hidden_size,
        batch_size=settings.data.batch_size,
        train_examples=train_examples,
        total_steps=steps.total,
        warmup_steps=steps.warmup,
        peak=settings.optimizer.learning_rate,
        start_fraction=settings.schedule.start_fraction,
        final_fraction=settings.schedule.final_fraction,
        clip_norm=settings.optimizer.clip_norm,
        forget_bias=settings.model.forget_bias,
    )
    if settings.model.gate_init in GATE_INITS:
        recipe = dataclasses.replace(recipe, gate_init=settings.model.gate_init)
    usual = flatten(validate(default.get_config()))
    left_out = {
        name: value
        for name, value in flatten(settings).items()
        if value != usual[name]
        and not name.startswith(_CARRIED + _WITHOUT_EFFECT)
        and not (name == "model.gate_init" and value in GATE_INITS)
    }
    return recipe, left_out


def usual_of(recipe: Recipe, target: float) -> Recipe:
    """The recipe `usual` of the same model and batch, that stops at `target` %."""
    return dataclasses.replace(
        Recipe(), hidden_size=recipe.hidden_size, batch_size=recipe.batch_size, target=target
    )
