"""The study: trials from a database that several processes share, each an ordinary run; and what came of them."""

import json
import shlex
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import lightning.pytorch as L
import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError, TrialPruned
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from digits import runs
from digits.command_line import fail
from digits.config.sweep import DIRECTIONS, SweepConfig
from digits.config.train import result_settings
from digits.errors import DivergedError, UserError, require
from digits.experiments.sweep import results
from digits.experiments.sweep.space import Choices, Interval, Search, trial_settings
from digits.files import ROOT, csv_text, made_folder, project_path, shown, write_picture, write_text
from digits.training.run import train

DONE = (TrialState.COMPLETE, TrialState.PRUNED)

WAIT = 1.0
"""Seconds between two looks at what the other processes do."""

MADE_OF = "made_of"
"""What a study remembers of its settings."""

TRIALS_BEFORE_PRUNING = 5
"""Fewer have no median worth the name."""


class TooManyError(Exception):
    """A trial that another process began the last one before."""


class PruneTrial(L.Callback):
    """Tells the study how each epoch validates, and stops the run where others were better after as many.

    Args:
        trial: the run's.
        objective: the tag it is judged by.
        told: the epochs that the study knows already, of a run that goes on.
    """

    def __init__(self, trial: optuna.Trial, objective: str, told: set[int]) -> None:
        self.trial = trial
        self.objective = objective
        self.told = told

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report, and stop; not at the run's end.

        Raises:
            TrialPruned: to stop it.
        """
        epoch = trainer.current_epoch + 1
        if epoch not in self.told:
            self.trial.report(float(trainer.callback_metrics[self.objective]), epoch)
        if epoch != trainer.max_epochs and self.trial.should_prune():
            raise TrialPruned(f"after epoch {epoch}")


class Sweep:
    """A process's share of a study.

    Args:
        settings: of conf/sweep.yaml.
        search: what is varied, and what is not.

    Raises:
        UserError: if the study cannot be opened, or is one of other settings.
    """

    def __init__(self, settings: SweepConfig, search: Search) -> None:
        self.settings = settings
        self.search = search
        self.folder = project_path(settings.outputs_dir) / "sweeps" / settings.study
        made_folder("outputs_dir", self.folder)
        file = sqlalchemy.URL.create("sqlite", database=str(self.folder / "study.db"))
        self.url = settings.storage or file.render_as_string()
        with self.storage_errors():
            self.study = self._opened()

    @contextmanager
    def storage_errors(self) -> Iterator[None]:
        """Turn what the database refuses into a UserError that names it, but not its password.

        Raises:
            UserError: that.
        """
        try:
            yield
        except (ImportError, StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            url = self.url
            with suppress(sqlalchemy.exc.ArgumentError):
                url = sqlalchemy.make_url(url).render_as_string()
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UserError(f"storage={url}: cannot be used as the study's database ({reason})") from error

    def _opened(self) -> optuna.Study:
        settings = self.settings
        pruner = optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING) if settings.prune else optuna.pruners.NopPruner()
        study = optuna.create_study(
            storage=_storage(self.url, settings.stale_after),
            study_name=settings.study,
            direction=DIRECTIONS[settings.objective],
            pruner=pruner,
            load_if_exists=True,
        )
        new = not study.get_trials(deepcopy=False)
        base = result_settings(trial_settings(self.search.overrides))
        space = {f"space.{key}": text for key, text in settings.space.items()}
        made_of = json.loads(json.dumps({"objective": settings.objective, **base, **space}))
        if new:
            study.set_user_attr(MADE_OF, made_of)
        before = study.user_attrs.get(MADE_OF, {})
        for key in sorted(before.keys() | made_of.keys()):
            right = f"{before.get(key, 'left out')}, as study={settings.study} was begun; or give study another name"
            require(before.get(key) == made_of.get(key), key, made_of.get(key, "left out"), right)
        return study

    @property
    def live(self) -> list[FrozenTrial]:
        """The trials that count: all but those that failed, in whose place others come."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state != TrialState.FAIL]

    @property
    def done(self) -> list[FrozenTrial]:
        """Those that are finished or pruned."""
        return [trial for trial in self.live if trial.state in DONE]

    @property
    def best(self) -> str:
        """What is best so far, in words."""
        best, objective = results.best(self.done, self.settings.objective), self.settings.objective
        return f"best {objective}: " + ("none yet" if best is None else f"{best.value:.5g}, trial {best.number}")

    def run(self) -> None:
        """Take trials until there are as many as wanted, and wait for those of other processes."""
        waited = False
        while len(self.done) < self.settings.trials:
            live = self.live
            if len(live) < self.settings.trials or any(trial.state == TrialState.WAITING for trial in live):
                self.study.optimize(self._objective, n_trials=1, catch=(TooManyError,))
                self.write()
                _say(f"{len(self.done)} of {self.settings.trials} done; {self.best}")
                continue
            if not waited:
                running = ", ".join(str(trial.number) for trial in live if trial.state == TrialState.RUNNING)
                _say(f"waiting for other processes' trials: {running}")
            waited = True
            time.sleep(WAIT)
            optuna.storages.fail_stale_trials(self.study)
            self._drop_unborn()

    def _drop_unborn(self) -> None:
        """Return up trials whose process was killed before its first sign of life, and before it drew anything."""
        long_ago = datetime.now() - timedelta(seconds=self.settings.stale_after)
        for trial in self.live:
            unborn = trial.state == TrialState.RUNNING and not trial.params
            if unborn and trial.datetime_start is not None and trial.datetime_start < long_ago:
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _objective(self, trial: optuna.Trial) -> float:
        """Draw a trial's settings and make its run, or go on with it.

        Raises:
            TooManyError: if there are enough trials without it.
            TrialPruned: if it is stopped because it is bad.
            SystemExit: if it cannot be finished now; it is gone on with when the sweep is started again.
        """
        known = self.study.get_trials(deepcopy=False)[trial.number]
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(known)
        if first is None and self._are_enough_without(trial.number):
            raise TooManyError
        # by its number, so that one process does the same again and several do not draw the same
        seed = self.settings.seed + trial.number
        self.study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=False)
        drawn = {key: str(_drawn(trial, key, choices)) for key, choices in self.search.space.items()}
        overrides = self.search.trial(drawn)
        settings = trial_settings(overrides)
        name = f"trial_{trial.number if first is None else first}"
        folder = self.folder / settings.model.name / name
        trial.set_user_attr("folder", str(folder.relative_to(self.folder)))
        shown_values = (f"{key}={_short(value)}" for key, value in trial.params.items())
        _say(f"trial {trial.number}: {' '.join(shown_values)}")
        if not (folder / runs.MODEL_FILE).is_file():
            resume = str(folder) if runs.is_resumable(folder) else None
            if resume is None:
                shutil.rmtree(folder, ignore_errors=True)
            settings = replace(settings, outputs_dir=str(self.folder), run_name=name, resume=resume)
            pruning = PruneTrial(trial, self.settings.objective, set(known.intermediate_values))
            try:
                train(settings, overrides, [pruning], quiet=True)
            except (DivergedError, TrialPruned) as stop:
                shutil.rmtree(folder / runs.LAST_CHECKPOINT.parent, ignore_errors=True)  # not to be gone on with
                raise TrialPruned(str(stop)) from stop
            except UserError as error:
                fail(str(error))  # by SystemExit, which Optuna does not take for the trial's end
            except KeyboardInterrupt:
                sys.exit(128 + signal.SIGINT)  # likewise
        metrics = json.loads((folder / runs.METRICS_JSON).read_text(encoding="utf-8"))
        return float(metrics[self.settings.objective])

    def _are_enough_without(self, number: int) -> bool:
        others = [trial for trial in self.live if trial.number != number]
        retried = RetryHeartbeatStaleTrialCallback.retried_trial_number
        before = [trial for trial in others if trial.number < number or retried(trial) is not None]
        return len(before) >= self.settings.trials

    def write(self) -> None:
        """Write to the study's folder what is done."""
        done, objective = self.done, self.settings.objective
        if not done:
            return
        best = results.best(done, objective)
        write_text(self.folder / "table.csv", csv_text([results.row(trial, objective) for trial in done]))
        if best is not None:
            title = f"{objective} {best.value:.5g}, the best of {len(done)} trials of the study {self.settings.study}"
            overrides = self.search.trial({key: str(value) for key, value in best.params.items()})
            file = made_folder("outputs_dir", self.folder / "experiment") / f"{self.settings.study}.yaml"
            write_text(file, results.experiment(overrides, title))
        write_picture(self.folder / "sweep.png", results.picture(self.study, done, objective))


def sweep(settings: SweepConfig, search: Search) -> None:
    """Take part in a study until it has its trials, and say which was best.

    Raises:
        UserError: if the study cannot be opened or written, or is one of other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # heartbeats, there since 2021
    share = Sweep(settings, search)
    try:
        with share.storage_errors():
            share.run()
    except (KeyboardInterrupt, SystemExit):
        _say("stopped. To go on, the same command")
        raise
    share.write()
    _say(f"{len(share.done)} trials are done; for more, raise trials")
    _say(f"trials, a picture of them and the best as an experiment are in {shown(share.folder)}")
    command = ["python", shown(ROOT / "src" / "train.py"), "--config-dir", shown(share.folder)]
    sys.stdout.write(f"{share.best}\nnext: {shlex.join([*command, f'experiment={settings.study}'])}\n")


def _drawn(trial: optuna.Trial, key: str, choices: Choices) -> str | int | float:
    if not isinstance(choices, Interval):
        return trial.suggest_categorical(key, choices)
    if isinstance(choices.low, int) and isinstance(choices.high, int):
        return trial.suggest_int(key, choices.low, choices.high, log=choices.log)
    return trial.suggest_float(key, choices.low, choices.high, log=choices.log)


def _storage(url: str, stale_after: int, attempts: int = 3) -> RDBStorage:
    """Open a database, and make its tables; another process that makes them at the same time is in the way of that."""
    try:
        return RDBStorage(
            url,
            {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None,
            heartbeat_interval=stale_after // 4,
            grace_period=stale_after,
            # with what was told of its epochs, because it is the same run that goes on
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True),
        )
    except RuntimeError as error:  # another version's
        raise StorageInternalError(str(error)) from error
    except sqlalchemy.exc.SQLAlchemyError:
        if attempts == 1:
            raise
    time.sleep(WAIT)
    return _storage(url, stale_after, attempts - 1)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
