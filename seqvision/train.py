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

import jax
from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.step_counts import is_due
from seqvision.config.user_path import expanded
from seqvision.config.validation import validate
from seqvision.data.from_config import initial_backbone, load_dataset
from seqvision.errors import UserError, explain_os_error, explain_out_of_memory, is_out_of_memory
from seqvision.profiling import peak
from seqvision.runs.checkpoint import Checkpoints
from seqvision.runs.compatibility import check_same_config
from seqvision.runs.environment import write_description
from seqvision.runs.files import progress_files, write_status
from seqvision.runs.header import header
from seqvision.runs.lock import exclusive
from seqvision.runs.reporting import TrainingReporter
from seqvision.runs.result import Result, finished_result
from seqvision.runs.resume import new_state, restore
from seqvision.runs.saved_run import with_own_backbone
from seqvision.runs.saved_states import check_path
from seqvision.runtime import processes
from seqvision.runtime.console import duration_text, on_terminal, say
from seqvision.runtime.interruption import Interruption
from seqvision.runtime.interruption import stop_with_input as stop_when_input_ends
from seqvision.tasks.base import Metrics
from seqvision.tasks.metric_text import final_line
from seqvision.training.best import Evaluations
from seqvision.training.dispatch import StepDispatcher
from seqvision.training.from_config import (
    check_trainable,
    create_dispatcher,
    create_training,
)
from seqvision.training.profiled import ProfiledSteps, check_folder
from seqvision.training.state import TrainState


@processes.exit_together(lambda: "run the same command again")
def train_and_evaluate(
    config: ConfigDict | Settings,
    workdir: str | Path,
    profile: str | Path = "",
    measure_peak: bool = False,
) -> Result:
    """Trains what the config says, evaluates as it goes and, at the end, on the test split.

    Called again after an interruption, it goes on from the newest checkpoint; called again after
    the end, it repeats the result.

    Args:
      config: see `configs/default.py`.
      workdir: where checkpoints and records lie; made if missing.
      profile: a folder for a trace of some steps, see `profiling`; none where empty. The peak is
        measured, too.
      measure_peak: measure the machine's peak first, see `peak`, and record the fraction reached.

    Raises:
      UserError: a bad config, data that cannot be had, a workdir that cannot be used or that holds
        another run.
    """
    settings, workdir = validate(config), Path(workdir)
    folder = expanded(str(profile), "--profile") if profile else None
    if folder is not None:
        check_folder(folder)
    try:
        with contextlib.ExitStack() as stack:
            training = None
            with processes.fail_together():
                check_path(workdir)
                stack.enter_context(exclusive(workdir))
                check_same_config(settings, workdir)
                if not Path(settings.model.backbone_weights).exists():
                    settings = with_own_backbone(settings, workdir)
                finished = finished_result(workdir)
                if finished is None:
                    training = _Training(settings, workdir, folder, measure_peak)
                elif folder is not None:
                    say("--profile: no step is left of this run; nothing is traced")
            processes.check_same(
                {
                    "config; give each the same command": settings,
                    "--workdir; it must be where all processes see it": progress_files(workdir),
                    "data; each needs all of them": training and training.fingerprints,
                }
            )
            if training is not None:
                return training.run()
            assert finished is not None
            return finished
    except jax.errors.JaxRuntimeError as error:
        if not is_out_of_memory(error):
            raise
        sizes = (
            f"config.data.batch_size={settings.data.batch_size} and"
            f" config.model.hidden_size={settings.model.hidden_size}"
        )
        raise UserError(explain_out_of_memory(error, sizes)) from error
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
        check = functools.partial(check_trainable, settings)
        self._dataset = load_dataset(settings, say, on_terminal(), check=check)
        self._setup = create_training(settings, self._dataset)
        self._profile, self._peak_flops = profile, None
        if measure_peak or profile is not None:
            compute_dtype = settings.model.compute_dtype
            self._peak_flops = peak.measure_peak(self._setup.mesh, compute_dtype)
        self._dispatcher = create_dispatcher(settings, self._setup, self._dataset)
        self._evaluations = Evaluations()
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
            state = self._restored(checkpoints)
            if state is None:
                settings = self._settings
                state = new_state(self._setup, settings.init_from, initial_backbone(settings))
            start = state.num_steps
            self._describe(start)
            reporter = TrainingReporter(
                self._setup, self._workdir, start, self._dispatcher.batch_size
            )
            try:
                return self._loop(state, checkpoints, reporter, interruption)
            finally:
                reporter.close()
                self._dispatcher.close()

    # --- before the loop ---

    def _restored(self, checkpoints: Checkpoints) -> TrainState | None:
        abstract = self._setup.abstract_state()
        restored = restore(checkpoints, self._workdir, self._dataset, abstract)
        if restored is None:
            return None
        state, loop = restored
        self._seconds_before = loop.pop("seconds")
        self._evaluations = Evaluations(**loop)
        return state

    def _describe(self, start: int) -> None:
        """Writes down and prints what this run is."""
        settings, dataset, workdir = self._settings, self._dataset, self._workdir
        environment = write_description(
            settings, dataset, self._setup.mesh, workdir, start, self._peak_flops
        )
        for line in header(settings, dataset, self._setup, environment, workdir, start):
            say(line)
        for name, split in dataset.splits.items():
            for line in self._setup.task.infeasible(name, split):
                say(line)

    # --- the loop ---

    def _loop(
        self,
        state: TrainState,
        checkpoints: Checkpoints,
        reporter: TrainingReporter,
        interruption: Interruption,
    ) -> Result:
        steps, start = self._setup.steps, state.num_steps
        step, saved = start, start if checkpoints.steps else -1
        dispatcher: StepDispatcher | ProfiledSteps = self._dispatcher
        if self._profile is not None:
            folder, peak_flops = self._profile, self._peak_flops
            dispatcher = ProfiledSteps(self._dispatcher, folder, steps.total, peak_flops)
        while True:
            improved = False
            evaluation_is_due = is_due(step, steps.evaluate_every) or step == steps.total
            if step > start and evaluation_is_due and self._has_validation:
                improved = self._validate(state, step, reporter)
            last = step == steps.total or self._is_exhausted
            signal = processes.all_reduce_max(int(interruption.signal or 0))
            best_is_due = improved and self._settings.checkpoint.keep_best
            checkpoint_is_due = is_due(step, steps.checkpoint_every) or best_is_due or last
            if (checkpoint_is_due or signal) and step != saved:
                reporter.log.sync()
                loop = dataclasses.asdict(self._evaluations) | {"seconds": self._seconds}
                checkpoints.save(state, loop, self._evaluations.best_step)
                saved = step
            if signal:
                checkpoints.wait()
                reporter.log.sync()
                write_status(self._workdir, "interrupted", step)
                say(f"saved at step {step}; the same command goes on from here")
                return Result("interrupted", step, {}, signal)
            if last:
                checkpoints.wait()
                return self._finish(state, step, checkpoints, reporter)

            state, finite = dispatcher.advance(state, step)
            reached = state.num_steps
            reporter.advance(reached - step)
            step = reached
            if not finite:
                checkpoints.wait()
                reporter.log.sync()
                return self._diverged(state, checkpoints)
            if step == steps.total or is_due(step, steps.log_every):
                state = reporter.training(state, step, self._seconds)

    @property
    def _has_validation(self) -> bool:
        return "validation" in self._dataset.splits

    @property
    def _is_exhausted(self) -> bool:
        return self._evaluations.is_exhausted(self._settings.early_stopping.patience)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._start

    def _validate(self, state: TrainState, step: int, reporter: TrainingReporter) -> bool:
        """Evaluates the validation split; True where it is the best so far."""
        metrics = self._evaluate(state, "validation")
        improved = self._evaluations.update(step, metrics.score)
        reporter.validation(metrics, step, self._seconds, improved)
        return improved

    def _evaluate(self, state: TrainState, split: str) -> Metrics:
        return self._setup.evaluate(state.eval_params, self._dataset.split(split))

    # --- after the loop ---

    def _finish(
        self, state: TrainState, step: int, checkpoints: Checkpoints, reporter: TrainingReporter
    ) -> Result:
        """Evaluates the test split, once, with the weights that validation chose."""
        if self._is_exhausted:
            say(
                f"stopped early at step {step}: {self._evaluations.evaluations_since_best}"
                f" evaluations without a better one than at step {self._evaluations.best_step}"
            )
        best_step = self._evaluations.best_step
        if self._settings.checkpoint.keep_best and best_step != step:
            best = checkpoints.restore_best(best_step, self._setup.abstract_state())
            if best is not None:
                say(f"evaluating the best checkpoint, of step {best_step}")
                state = best
        ends = {
            split: self._evaluate(state, split).row()
            for split in ("validation", "test")
            if split in self._dataset.splits
        }
        if "test" in ends:
            reporter.log.metrics(step, "test", ends["test"], self._seconds)
        reporter.log.sync()
        throughput = self._dispatcher.throughput(self._peak_flops)
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
        whose = self._setup.replicas.behind(state)
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


def _way_on(checkpoints: Checkpoints) -> str:
    kept = checkpoints.steps
    return f"the same command goes on from {f'step {kept[-1]}' if kept else 'its beginning'}"


def run(
    settings: Settings,
    workdir: Path,
    profile: str,
    measure_peak: bool,
    stop_with_input: bool,
    report: bool,
) -> int:
    """`--mode=train`; returns the exit code."""
    if stop_with_input:
        stop_when_input_ends()
    result = train_and_evaluate(settings, workdir, profile, measure_peak)
    if result.signal is not None:
        return 128 + result.signal
    if report and result.status == "done":
        from seqvision.report import report_training

        report_training(workdir)
    return 0 if result.status == "done" else 1
