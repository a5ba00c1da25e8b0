"""Which runs a comparison is made of, each composed as train.py would compose it."""

import shlex
from dataclasses import dataclass, replace

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from digits.command_line import as_typed, checked, explain
from digits.config.commands import CompareConfig
from digits.config.train import TrainConfig
from digits.errors import UserError
from digits.files import ROOT
from digits.runs import PAGES


@dataclass(frozen=True)
class ComposedRun:
    """A run that is to be there."""

    settings: TrainConfig
    overrides: list[str]
    """What a user would type for it."""


def composed(overrides: list[str]) -> TrainConfig:
    """Compose a run's settings as train.py would from what was typed.

    Raises:
        UserError: if they do not fit.
        HydraException, OmegaConfBaseException: if they cannot be composed.
    """
    GlobalHydra.instance().clear()  # the entry point's own, which has done its work
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return checked(compose("train", overrides=[as_typed(override) for override in overrides]), TrainConfig)


def runs_to_compare(config: CompareConfig) -> dict[str, list[ComposedRun]]:
    """Compose the settings of all runs, by the name of their row, one for each seed.

    Raises:
        UserError: for a row that cannot be composed.
    """
    rows = {}
    shared = f" (with settings=[{','.join(config.settings)}])" if config.settings else ""
    for name in config.experiments:
        try:
            rows[name] = _row(name, config)
        except (UserError, ValueError) as error:
            raise UserError(f"experiments={name}: {error}{shared}") from error
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"experiments={name}: {explain(error, TrainConfig)}{shared}") from error
    return rows


def _row(name: str, config: CompareConfig) -> list[ComposedRun]:
    words = shlex.split(name)
    if any(
        word.lstrip("+").startswith(("seed=", "resume=", "run_name=", "outputs_dir="))
        for word in words + config.settings
    ):
        raise UserError("has seed, resume, run_name or outputs_dir; every run is a new one, named by its row and seed")
    own = words if "=" in words[0] else [f"experiment={words[0]}", *words[1:]]
    shared = [*own, *config.settings, f"outputs_dir={config.outputs_dir}"]
    plain = composed(shared)
    if plain.start_from == "auto":
        raise UserError("starts from the newest run, which is another one by then; add start_from=shipped, or a run")
    if plain.model.name == PAGES:
        raise UserError("is a page network, which has no test images; score.py measures it")
    row = []
    for seed in config.seeds:
        overrides, settings = [*shared, f"seed={seed}"], replace(plain, seed=seed)
        if settings.start_from is not None:
            from digits.training.resume import with_network  # which loads torch

            settings = with_network(settings, overrides)
        row.append(ComposedRun(settings, overrides))
    return row
