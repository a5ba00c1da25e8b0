"""Which runs a comparison is made of, each composed as train.py would compose it."""

import shlex
from dataclasses import dataclass

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from digits.command_line import as_typed, checked, explain
from digits.config import ROOT, CompareConfig, TrainConfig
from digits.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """A run that is to be there."""

    settings: TrainConfig
    typed: list[str]
    """What a user would type for it."""


def wanted_runs(config: CompareConfig) -> dict[str, list[Wanted]]:
    """Compose the settings of all runs, by the name of their row, one for each seed.

    Raises:
        UserError: for a row that cannot be composed.
    """
    found = {}
    for name in config.experiments:
        try:
            found[name] = _row(name, config)
        except (UserError, ValueError) as error:
            raise UserError(f"experiments={name}: {error}") from error
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"experiments={name}: {explain(error, TrainConfig)}") from error
    return found


def _row(name: str, config: CompareConfig) -> list[Wanted]:
    words = shlex.split(name)
    if any(one.lstrip("+").startswith(("seed=", "resume=", "run_name=")) for one in words + config.settings):
        raise UserError("has seed, resume or run_name; every run is a new one, named by its row and seed")
    own = words if "=" in words[0] else [f"experiment={words[0]}", *words[1:]]
    found = []
    for seed in config.seeds:
        typed = [as_typed(one) for one in (*own, *config.settings, f"seed={seed}", f"outputs_dir={config.outputs_dir}")]
        settings = composed(typed)
        if settings.start_from == "auto":
            raise UserError("starts from the newest run, which another is by then; add start_from=shipped, or a run")
        if settings.start_from is not None:
            from digits.resuming import started  # which loads torch

            settings = started(settings, typed)
        found.append(Wanted(settings, typed))
    return found


def composed(typed: list[str]) -> TrainConfig:
    """Compose a run's settings as train.py would from what was typed.

    Raises:
        UserError: if they do not fit.
        HydraException, OmegaConfBaseException: if they cannot be composed.
    """
    GlobalHydra.instance().clear()  # the entry point's own, which has done its work
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return checked(compose("train", overrides=typed), TrainConfig)
