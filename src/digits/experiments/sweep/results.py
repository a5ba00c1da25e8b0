"""What came of a study: its best trial, as an experiment to train again, a table, and pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from digits.config.train import GROUPS, result_settings
from digits.experiments.sweep.space import Search, trial_settings
from digits.files import csv_text, made_folder, write_picture, write_text
from digits.tracking.pictures import drawn

DONE = (TrialState.COMPLETE, TrialState.PRUNED)

OBJECTIVE = "val/loss"
"""What a trial is judged by: the tag, of the weights that it keeps."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = """\
# @package _global_
# {title}.
defaults:
"""


def done(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that are finished or pruned."""
    return study.get_trials(deepcopy=False, states=DONE)


def best(study: optuna.Study) -> FrozenTrial | None:
    """Return the best of the finished trials; None where there is none."""
    finished = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return study.best_trial if finished else None


def write(study: optuna.Study, search: Search, folder: Path) -> None:
    """Write table.csv, history.png and importance.png, and the best trial as an experiment, to the study's folder."""
    trials = done(study)
    if not trials:
        return
    write_text(folder / "table.csv", csv_text([_row(trial) for trial in trials]))
    best_trial = best(study)
    if best_trial is None:
        return
    title = f"{OBJECTIVE} {best_trial.value:.5g}, the best of {len(trials)} trials of the study {study.study_name}"
    overrides = search.trial({key: str(value) for key, value in best_trial.params.items()})
    file = made_folder("outputs_dir", folder / "experiment") / f"{study.study_name}.yaml"
    write_text(file, _experiment(overrides, title))
    mpl.use("Agg")  # Optuna draws with pyplot, which would look for a screen
    plots = optuna.visualization.matplotlib
    axes = [("history", plots.plot_optimization_history(study, target_name=OBJECTIVE))]
    if len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])) > 1:
        axes.append(("importance", plots.plot_param_importances(study, target_name=OBJECTIVE)))
    for name, plot in axes:
        figure = cast("Figure", plot.figure)
        figure.set_layout_engine("constrained")  # or the settings' names would be cut off
        write_picture(folder / f"{name}.png", Image.fromarray(drawn(figure)))
    mpl.pyplot.close("all")


def _row(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's row of table.csv; of a pruned one the loss is that of its last epoch."""
    is_finished, epochs = trial.state == TrialState.COMPLETE, trial.last_step or 0
    value = trial.value if is_finished else trial.intermediate_values.get(epochs)
    start = {"trial": trial.number, "state": "finished" if is_finished else "pruned", OBJECTIVE: value}
    return {**start, "epochs": epochs, **trial.params, "folder": trial.user_attrs.get("folder", "")}


def _experiment(overrides: list[str], title: str) -> str:
    """Return a trial as an experiment: its groups, and what it changes in them.

    Args:
        overrides: what one would type for the trial.
        title: what the file says of itself.
    """
    settings = trial_settings(overrides)
    names = {group: getattr(settings, group).name for group in GROUPS}
    usual = result_settings(trial_settings([f"{group}={name}" for group, name in names.items()]))
    changed = OmegaConf.create()
    for key, value in result_settings(settings).items():
        if key != "trainer.accelerator" and (key not in usual or usual[key] != value):  # which is the machine's
            OmegaConf.update(changed, key, value)
    groups = "".join(f"  - override /{group}: {name}\n" for group, name in names.items())
    return EXPERIMENT.format(title=title) + groups + ("\n" + OmegaConf.to_yaml(changed) if changed else "")
