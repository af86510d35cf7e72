"""The training loop.

Its order at every step, which is also what makes a resumed run equal to an uninterrupted one:

    1. evaluate the validation split, if due
    2. save a checkpoint, if due, or if a signal came; leave, if it did
    3. leave, if all steps are done or validation no longer improves
    4. draw the next batches and step, up to the next event
    5. record the training loss and what goes with it, if due

A checkpoint at step s is saved after all that is recorded at s. A resumed run drops what was
recorded behind its checkpoint and goes on with 3.
"""

import contextlib
import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from seqvision.config.rules import wants_validation
from seqvision.config.schema import Settings
from seqvision.config.step_counts import Steps
from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.data.streamed import StreamedSplit
from seqvision.errors import UserError, explain_os_error, first_line
from seqvision.profiling import peak
from seqvision.runs.checkpoint import Checkpoints, LoopFacts
from seqvision.runs.compatibility import check_same_config
from seqvision.runs.data_facts import read_data_facts
from seqvision.runs.environment import write_description
from seqvision.runs.files import ENVIRONMENT, write_status
from seqvision.runs.header import header as description
from seqvision.runs.lock import exclusive
from seqvision.runs.metrics_log import MetricsLog as Record
from seqvision.runs.metrics_log import open_metrics_log as open_record
from seqvision.runs.result import Result, final_line, finished_result, format_row
from seqvision.runs.warm_start import warm_start
from seqvision.runtime import processes
from seqvision.runtime.console import Progress, duration_text, on_terminal, say
from seqvision.runtime.interruption import Interruption
from seqvision.runtime.mesh import state_sharding, training_mesh
from seqvision.runtime.transfer import to_devices
from seqvision.tasks.infeasible_lines import infeasible_lines
from seqvision.tasks.metrics import Metrics
from seqvision.tasks.reading_metrics import ReadingMetrics
from seqvision.tasks.seed_metrics import SeedMetrics, of_seed, row_of_seeds
from seqvision.training.dispatch import Calls
from seqvision.training.from_config import create_training
from seqvision.training.profiled import ProfiledSteps, check_folder
from seqvision.training.resident import ResidentSteps
from seqvision.training.state import TrainState, abstract_state, create_state
from seqvision.training.streamed import StreamedSteps


@processes.exit_together(lambda: "run the same command again")
def train_and_evaluate(
    config: ConfigDict, workdir: str | Path, profile: str | Path = "", measure_peak: bool = False
) -> Result:
    """Trains what the config says, evaluates as it goes and, at the end, on the test split.

    Called again after an interruption, it goes on from the newest checkpoint; called again after
    the end, it repeats the result.

    Args:
      config: see `configs/default.py`.
      workdir: where checkpoints and records lie; made if missing.
      profile: a folder for a trace of some steps, see `profiling`; none where empty. The peak is
        measured, too.
      measure_peak: measure the machine's peak first, see `peak`, and record the share reached.

    Raises:
      UserError: a bad config, data that cannot be had, a workdir that cannot be used or that holds
        another run.
    """
    settings, workdir = validate(config), Path(workdir)
    folder = Path(profile).expanduser() if profile else None
    if folder is not None:
        check_folder(folder)
    try:
        with contextlib.ExitStack() as stack:
            training = None
            with processes.fail_together():
                stack.enter_context(exclusive(workdir))
                check_same_config(settings, workdir)
                finished = finished_result(workdir)
                if finished is None:
                    training = _Training(settings, workdir, folder, measure_peak)
                elif folder is not None:
                    say("--profile: no step is left of this run; nothing is traced")
            processes.check_same(
                {
                    "config; give each the same command": settings,
                    "--workdir; it has to lie where all hosts see it": _kept(workdir),
                    "data; each needs all of them": training and training.fingerprints,
                }
            )
            if training is not None:
                return training.run()
            assert finished is not None
            return finished
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"out of memory with config.data.batch_size={settings.data.batch_size} and"
            f" config.model.hidden_size={settings.model.hidden_size}; lower one of them"
            f" ({first_line(error)})"
        ) from error
    except BrokenPipeError:
        raise  # Nobody reads what is printed; that is no fault of the workdir.
    except OSError as error:
        raise UserError(explain_os_error(error, workdir, "--workdir")) from error


class _Training:
    """One run from its first step, or from its newest checkpoint, to its end."""

    def __init__(
        self, settings: Settings, workdir: Path, profile: Path | None, measure_peak: bool
    ) -> None:
        self._start = time.perf_counter()
        self._settings, self._workdir = settings, workdir
        self._dataset = load_dataset(settings, say, on_terminal())
        self._train = self._dataset.split("train")
        self._check_splits()
        self._steps = Steps.of(settings, len(self._train))
        self._mesh = training_mesh(settings.data.batch_size, settings.num_seeds)
        self._program = create_training(settings, self._dataset, self._steps, self._mesh)
        self._learning_rate = jax.jit(self._program.schedule)
        self._profile, self._peak_flops = profile, None
        if measure_peak or profile is not None:
            self._peak_flops = peak.measure_peak(self._mesh, settings.model.compute_dtype)
        self._calls = self._create_calls()
        self._best_step: int | None = None
        self._best_score: float | None = None
        self._evaluations_since_best = 0
        self._seconds_before = 0.0

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of the data, see `data.dataset.Dataset`."""
        return dict(self._dataset.fingerprints)

    def run(self) -> Result:
        """Trains to the end, or until a signal or a non-finite value comes."""
        with (
            Interruption() as interruption,
            Checkpoints(self._workdir, self._settings.checkpoint.keep, say) as checkpoints,
            processes.exit_together(lambda: _way_on(checkpoints)),
        ):
            state = self._restored(checkpoints) or self._new_state()
            start = state.num_steps
            self._describe(state, start)
            rows = open_record(self._workdir, start)
            progress = Progress(self._steps.total, start)
            try:
                return self._loop(state, checkpoints, rows, progress, interruption)
            finally:
                progress.close()
                rows.close()
                self._calls.close()

    # --- before the loop ---

    def _create_calls(self) -> Calls:
        settings, steps, split = self._settings, self._steps, self._train
        if isinstance(split, StreamedSplit):
            return StreamedSteps(settings, steps, split, self._program.train_steps, self._mesh)
        return ResidentSteps(settings, steps, split, self._program.train_steps, self._mesh)

    def _check_splits(self) -> None:
        wanting = wants_validation(self._settings)
        if wanting and not self._has_validation:
            raise UserError(
                f"config.{wanting}: it needs a validation split, but {self._dataset.name} has none;"
                " set config.data.validation_fraction or switch it off"
            )

    def _restored(self, checkpoints: Checkpoints) -> TrainState | None:
        if not checkpoints.steps:
            return None
        facts = read_data_facts(self._workdir)
        if not facts.describes(self._dataset):
            raise UserError(
                f"{self._workdir}: its data changed since it began: fingerprint or classes of"
                f" {self._dataset.name} are not those in {ENVIRONMENT}; bring back that"
                f" data, or choose another --workdir{facts.hint(self._dataset)}"
            )
        restored = checkpoints.restore_newest(self._abstract_state())
        if restored is None:
            return None
        state, loop = restored
        self._best_step = loop["best_step"]
        self._best_score = loop["best_score"]
        self._evaluations_since_best = loop["evaluations_since_best"]
        self._seconds_before = loop["seconds"]
        say(f"resuming {self._workdir} from step {state.num_steps}")
        return state

    def _new_state(self) -> TrainState:
        settings, optimizer = self._settings, self._program.optimizer
        state = create_state(self._program.init, self._mesh, settings.seed, settings.num_seeds)
        if not settings.init_from:
            return state
        source = Path(settings.init_from).expanduser()
        params, lines = warm_start(state.params, source, settings.num_seeds)
        for line in lines:
            say(line)
        params = to_devices(params, state_sharding(self._mesh))
        ema_params = None if state.ema_params is None else jax.tree.map(jnp.copy, params)
        init = optimizer.init if settings.num_seeds == 1 else jax.vmap(optimizer.init)
        opt_state = jax.jit(init, out_shardings=state_sharding(self._mesh))(params)
        return dataclasses.replace(state, params=params, opt_state=opt_state, ema_params=ema_params)

    def _abstract_state(self) -> TrainState:
        return abstract_state(self._program.init, self._mesh, self._settings.num_seeds)

    def _describe(self, state: TrainState, start: int) -> None:
        """Writes down and prints what this run is."""
        settings, dataset, workdir = self._settings, self._dataset, self._workdir
        environment = write_description(
            settings, dataset, self._mesh, workdir, start, self._peak_flops
        )
        params = state.params
        if settings.num_seeds > 1:
            params = jax.eval_shape(functools.partial(of_seed, index=0), params)
        for line in description(
            settings, dataset, self._steps, environment, params, workdir, start
        ):
            say(line)
        for name, split in dataset.splits.items():
            for line in infeasible_lines(name, split, self._program.objective):
                say(line)

    # --- the loop ---

    def _loop(
        self,
        state: TrainState,
        checkpoints: Checkpoints,
        rows: Record,
        progress: Progress,
        interruption: Interruption,
    ) -> Result:
        steps, start = self._steps, state.num_steps
        step, saved = start, start if checkpoints.steps else -1
        calls: Calls | ProfiledSteps = self._calls
        if self._profile is not None:
            calls = ProfiledSteps(self._calls, self._profile, steps.total, self._peak_flops, say)
        log_time, log_step = time.perf_counter(), start
        while True:
            improved = False
            evaluation_is_due = _is_due(step, steps.evaluate_every) or step == steps.total
            if step > start and evaluation_is_due and self._has_validation:
                improved = self._evaluate(state, step, rows)
            last = step == steps.total or self._is_exhausted
            signal = processes.all_reduce_max(int(interruption.signal or 0))
            best_is_due = improved and self._settings.checkpoint.keep_best
            checkpoint_is_due = _is_due(step, steps.checkpoint_every) or best_is_due or last
            if (checkpoint_is_due or signal) and step != saved:
                rows.sync()
                checkpoints.save(state, self._loop_facts(), self._best_step)
                saved = step
            if signal:
                checkpoints.wait()
                write_status(self._workdir, "interrupted", step)
                say(f"saved at step {step}; the same command goes on from here")
                return Result("interrupted", step, {}, signal)
            if last:
                checkpoints.wait()
                return self._finish(state, step, checkpoints, rows)

            state, finite = calls.advance(state, step)
            reached = state.num_steps
            progress.advance(reached - step)
            step = reached
            if not finite:
                checkpoints.wait()
                return self._diverged(state, checkpoints)
            if step == steps.total or _is_due(step, steps.log_every):
                now = time.perf_counter()
                speed = (step - log_step) * self._calls.batch_size / (now - log_time)
                state = self._log(state, step, speed, rows, progress)
                log_time, log_step = now, step

    @property
    def _has_validation(self) -> bool:
        return "validation" in self._dataset.splits

    @property
    def _is_exhausted(self) -> bool:
        patience = self._settings.early_stopping.patience
        return 0 < patience <= self._evaluations_since_best

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._start

    def _loop_facts(self) -> LoopFacts:
        return {
            "best_step": self._best_step,
            "best_score": self._best_score,
            "evaluations_since_best": self._evaluations_since_best,
            "seconds": self._seconds,
        }

    def _log(
        self,
        state: TrainState,
        step: int,
        speed: float,
        rows: Record,
        progress: Progress,
    ) -> TrainState:
        """Records the training metrics since the last log, and starts them anew."""
        sums = jax.device_get(state.sums)
        means = self._row(sums)
        values = means | {"learning_rate": float(self._learning_rate(step - 1))}
        rows.metrics(step, "train", values, self._seconds)
        rows.scalars(step, "train", {"examples_per_second": speed})
        words = {name: text for name, text in format_row(means).items() if name != "count"}
        left = (self._steps.total - step) * self._calls.batch_size / speed
        say(
            f"step {step}/{self._steps.total}  "
            + "".join(f"{name} {text}  " for name, text in words.items())
            + f"{speed:,.0f} examples/s  ETA {duration_text(left)}"
        )
        progress.show(**words, examples_per_s=f"{speed:,.0f}")
        zeros = to_devices(jax.tree.map(np.zeros_like, sums), state_sharding(self._mesh))
        return dataclasses.replace(state, sums=zeros)

    def _row(self, sums: Any) -> dict[str, Any]:
        """What is recorded of training: sums of the host as means."""
        objective, num_seeds = self._program.objective, self._settings.num_seeds
        if num_seeds == 1:
            return objective.row(sums)
        return row_of_seeds([objective.row(of_seed(sums, index)) for index in range(num_seeds)])

    def _evaluate(self, state: TrainState, step: int, rows: Record) -> bool:
        """Evaluates the validation split; True where it is the best so far."""
        metrics = self._evaluated(state, "validation")
        rows.metrics(step, "validation", metrics.row(), self._seconds)
        improved = self._best_score is None or metrics.score > self._best_score
        if improved:
            self._best_step, self._best_score = step, metrics.score
        self._evaluations_since_best = 0 if improved else self._evaluations_since_best + 1
        say(f"step {step}  {final_line('validation', metrics.row())}{'  best' * improved}")
        return improved

    def _evaluated(self, state: TrainState, split: str) -> Metrics | ReadingMetrics | SeedMetrics:
        return self._program.evaluate(state.eval_params, self._dataset.split(split))

    # --- after the loop ---

    def _finish(
        self, state: TrainState, step: int, checkpoints: Checkpoints, rows: Record
    ) -> Result:
        """Looks at the test split, once, with the weights that validation chose."""
        if self._is_exhausted:
            say(
                f"stopped early at step {step}: {self._evaluations_since_best} evaluations without"
                f" a better one than at step {self._best_step}"
            )
        if self._settings.checkpoint.keep_best and self._best_step != step:
            best = checkpoints.restore_best(self._best_step, self._abstract_state())
            if best is not None:
                say(f"evaluating the best checkpoint, of step {self._best_step}")
                state = best
        ends = {
            split: self._evaluated(state, split).row()
            for split in ("validation", "test")
            if split in self._dataset.splits
        }
        if "test" in ends:
            rows.metrics(step, "test", ends["test"], self._seconds)
        rows.sync()
        throughput = self._calls.throughput(self._peak_flops)
        write_status(
            self._workdir,
            "done",
            step,
            metrics=ends,
            seconds=round(self._seconds, 1),
            throughput=throughput and throughput.as_json(),
        )
        say(f"done after {step} steps in {duration_text(self._seconds)}")
        if throughput is not None:
            say(f"training alone: {throughput}")
        for split, values in ends.items():
            say(final_line(split, values))
        return Result("done", step, ends)

    def _diverged(self, state: TrainState, checkpoints: Checkpoints) -> Result:
        step, kept = state.num_steps, checkpoints.steps
        whose = ""
        if self._settings.num_seeds > 1:
            # The others went on to the end of the call.
            behind = np.flatnonzero(jax.device_get(state.step) == step)
            whose = f" of seed {', '.join(str(self._settings.seeds[index]) for index in behind)}"
        last = (
            f"the checkpoint of step {kept[-1]} is kept" if kept else "there is no checkpoint yet"
        )
        write_status(self._workdir, "diverged", step)
        say(
            f"diverged: loss or gradient{whose} is not finite in step {step + 1}; {last}. Lower"
            " config.optimizer.learning_rate or set config.optimizer.clip_norm, in another"
            " --workdir"
        )
        return Result("diverged", step, {})


def _kept(workdir: Path) -> list[str]:
    """What a run has left so far."""
    files = (*workdir.glob("status.json"), *workdir.glob("checkpoints/*"))
    return sorted(path.name for path in files)


def _way_on(checkpoints: Checkpoints) -> str:
    kept = checkpoints.steps
    return f"the same command goes on from {f'step {kept[-1]}' if kept else 'its beginning'}"


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step > 0 and step % every == 0
