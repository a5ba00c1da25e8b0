"""The study: trials from a database that several processes share, each an ordinary run."""

import json
import shlex
import shutil
import signal
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as L
import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError, TrialPruned
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback

from digits import runs
from digits.command_line import fail, one_line_errors
from digits.config.sweep import SweepConfig
from digits.config.train import TrainConfig, result_settings
from digits.errors import DivergedError, UserError, require
from digits.experiments.sweep import results
from digits.experiments.sweep.space import Choices, Interval, Search, trial_settings
from digits.files import ROOT, made_folder, project_path, shown
from digits.training.resume import with_network
from digits.training.run import train

DATABASE = "study.db"
"""The study's file, in its folder."""

MADE_OF = "made_of"
"""What a study remembers of its settings."""

TRIALS_BEFORE_PRUNING = 5
"""Fewer have no median worth the name."""

STALE_AFTER = 60
"""Seconds that nothing is heard of a process before another one goes on with its trial."""


class PruneTrial(L.Callback):
    """Tells the study how each epoch validates, and stops the run where others were better after as many.

    Args:
        trial: the run's.
        told: the epochs that the study knows already, of a run that goes on.
    """

    def __init__(self, trial: optuna.Trial, told: set[int]) -> None:
        self.trial = trial
        self.told = told

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report, and stop; not at the run's end.

        Raises:
            TrialPruned: to stop it.
        """
        epoch = trainer.current_epoch + 1
        if epoch not in self.told:
            self.trial.report(float(trainer.callback_metrics[results.OBJECTIVE]), epoch)
        if epoch != trainer.max_epochs and self.trial.should_prune():
            raise TrialPruned(f"after epoch {epoch}")


class Sweep:
    """A process's share of a study.

    Args:
        settings: of conf/sweep.yaml.
        search: what is varied, and what is not.
        folder: the study's, which has its database.

    Raises:
        UserError: if the study is one of other settings.
    """

    def __init__(self, settings: SweepConfig, search: Search, folder: Path) -> None:
        self.settings = settings
        self.search = search
        self.folder = folder
        self.study = optuna.create_study(
            storage=_storage(folder / DATABASE),
            study_name=settings.study,
            pruner=optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING),
            load_if_exists=True,
        )
        base = result_settings(trial_settings(search.overrides))
        space = {f"space.{key}": text for key, text in settings.space.items()}
        made_of = json.loads(json.dumps({**base, **space}))
        if not self.study.get_trials(deepcopy=False):
            self.study.set_user_attr(MADE_OF, made_of)
        before = self.study.user_attrs.get(MADE_OF, {})
        for key in sorted(before.keys() | made_of.keys()):
            expected = f"{before.get(key, 'left out')}, as study={settings.study} was begun; or give study another name"
            require(before.get(key) == made_of.get(key), key, made_of.get(key, "left out"), expected)

    def run(self) -> None:
        """Run trials until as many as wanted are finished or pruned; other processes may then still be at some."""
        if len(results.done(self.study)) >= self.settings.trials:
            self.write()
            return
        enough = MaxTrialsCallback(self.settings.trials, results.DONE)
        self.study.optimize(self._objective, callbacks=[enough, lambda *_: self.write()])

    def write(self) -> None:
        """Write what is done to the study's folder, and say how far it is."""
        results.write(self.study, self.search, self.folder)
        done, best = results.done(self.study), results.best(self.study)
        shown_best = "none yet" if best is None else f"{best.value:.5g}, trial {best.number}"
        _say(f"{len(done)} of {self.settings.trials} done; best {results.OBJECTIVE}: {shown_best}")

    def _objective(self, trial: optuna.Trial) -> float:
        """Draw a trial's settings and make its run, or go on with it; return how it validates.

        Raises:
            TrialPruned: if it is stopped because it is bad.
            SystemExit: if it cannot be finished now; it is gone on with when the sweep is started again.
        """
        known = self.study.get_trials(deepcopy=False)[trial.number]
        retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(known)
        # by its number, so that one process does the same again and several do not draw the same
        seed = self.settings.seed + trial.number
        self.study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=False)
        drawn = {key: str(_drawn(trial, key, choices)) for key, choices in self.search.space.items()}
        overrides = self.search.trial(drawn)
        settings = trial_settings(overrides)
        if settings.start_from is not None:
            with one_line_errors():
                settings = with_network(settings, overrides)
        name = f"trial_{trial.number if retried is None else retried}"
        folder = self.folder / settings.model.name / name
        trial.set_user_attr("folder", str(folder.relative_to(self.folder)))
        _say(f"trial {trial.number}: {' '.join(f'{key}={_short(value)}' for key, value in trial.params.items())}")
        if not (folder / runs.MODEL_FILE).is_file():
            resume = str(folder) if runs.is_resumable(folder) else None
            if resume is None:
                shutil.rmtree(folder, ignore_errors=True)
            settings = replace(settings, outputs_dir=str(self.folder), run_name=name, resume=resume)
            self._train(settings, overrides, PruneTrial(trial, set(known.intermediate_values)))
        return runs.read_figures(folder)[results.OBJECTIVE]

    def _train(self, settings: TrainConfig, overrides: list[str], pruning: PruneTrial) -> None:
        try:
            train(settings, overrides, [pruning], quiet=True)
        except (DivergedError, TrialPruned) as stop:
            checkpoints = self.folder / settings.model.name / str(settings.run_name) / runs.LAST_CHECKPOINT.parent
            shutil.rmtree(checkpoints, ignore_errors=True)  # not to be gone on with
            raise TrialPruned(str(stop)) from stop
        except UserError as error:
            fail(str(error))  # by SystemExit, which Optuna does not take for the trial's end
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)  # likewise


def sweep(settings: SweepConfig, search: Search) -> None:
    """Run trials of a study until it has enough, and print which was best.

    Raises:
        UserError: if the study cannot be opened or written, or is one of other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # heartbeats, there since 2021
    folder = made_folder("outputs_dir", project_path(settings.outputs_dir) / "sweeps" / settings.study)
    try:
        Sweep(settings, search, folder).run()
    except (KeyboardInterrupt, SystemExit):
        _say("stopped. To go on, the same command")
        raise
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise UserError(
            f"{folder / DATABASE}: cannot be used as the study's database ({reason}); name another study"
        ) from error
    _say(f"for more, raise trials; a table, pictures and the best trial as an experiment are in {shown(folder)}")
    command = ["python", shown(ROOT / "src" / "train.py"), "--config-dir", shown(folder)]
    sys.stdout.write(f"next: {shlex.join([*command, f'experiment={settings.study}'])}\n")


def _storage(file: Path, attempts: int = 3) -> RDBStorage:
    """Open a database, and make its tables; another process that makes them at the same time is in the way of that."""
    try:
        return RDBStorage(
            sqlalchemy.URL.create("sqlite", database=str(file)).render_as_string(),
            {"connect_args": {"timeout": 60}},
            heartbeat_interval=STALE_AFTER // 4,
            grace_period=STALE_AFTER,
            # with what was told of its epochs, because it is the same run that goes on
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True),
        )
    except RuntimeError as error:  # another version's
        raise StorageInternalError(str(error)) from error
    except sqlalchemy.exc.SQLAlchemyError:
        if attempts == 1:
            raise
    time.sleep(1)
    return _storage(file, attempts - 1)


def _drawn(trial: optuna.Trial, key: str, choices: Choices) -> str | int | float:
    if not isinstance(choices, Interval):
        return trial.suggest_categorical(key, choices)
    if isinstance(choices.low, int) and isinstance(choices.high, int):
        return trial.suggest_int(key, choices.low, choices.high, log=choices.log)
    return trial.suggest_float(key, choices.low, choices.high, log=choices.log)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
