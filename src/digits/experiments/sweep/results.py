"""What came of a study: its best trial, as an experiment to train again, a table, and a picture."""

from collections.abc import Sequence
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from digits.config.sweep import DIRECTIONS
from digits.config.train import GROUPS, result_settings
from digits.experiments.sweep import figure
from digits.experiments.sweep.space import trial_settings

SIGNS = {"minimize": 1, "maximize": -1}
"""What makes the least of the best."""

EXPERIMENT = """\
# @package _global_
# {title}.
defaults:
"""


def best(done: Sequence[FrozenTrial], objective: str) -> FrozenTrial | None:
    """Return the best of the finished trials, the first of equals; None where there is none."""
    sign = SIGNS[DIRECTIONS[objective]]
    finished = [trial for trial in done if trial.state == TrialState.COMPLETE]
    return min(finished, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def row(trial: FrozenTrial, objective: str) -> dict[str, Any]:
    """Return a trial's row of table.csv; of a pruned one the objective is that of its last epoch."""
    value = trial.value if trial.state == TrialState.COMPLETE else trial.intermediate_values.get(trial.last_step or 0)
    state = "finished" if trial.state == TrialState.COMPLETE else "pruned"
    start = {"trial": trial.number, "state": state, objective: value, "epochs": trial.last_step or 0}
    return {**start, **trial.params, "folder": trial.user_attrs.get("folder", "")}


def experiment(overrides: list[str], title: str) -> str:
    """Write a trial down as an experiment: its groups, and what it changes in them.

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


def importances(study: optuna.Study, done: Sequence[FrozenTrial]) -> dict[str, float]:
    """Return what share of the differences between good and bad trials each setting explains.

    After Watanabe, Bansal and Hutter 2023, PED-ANOVA; nothing while fewer than two trials are finished.
    """
    finished = sum(trial.state == TrialState.COMPLETE for trial in done)
    return optuna.importance.get_param_importances(study) if finished > 1 else {}


def picture(study: optuna.Study, done: Sequence[FrozenTrial], objective: str) -> Image.Image:
    """Draw the trials, and what mattered."""
    rows = [row(trial, objective) for trial in done]
    of_state = {
        state: {
            cells["trial"]: cells[objective]
            for cells in rows
            if cells["state"] == state and cells[objective] is not None
        }
        for state in ("finished", "pruned")
    }
    shares, sign = importances(study, done), SIGNS[DIRECTIONS[objective]]
    return Image.fromarray(figure.trials(of_state["finished"], of_state["pruned"], shares, objective, sign))
