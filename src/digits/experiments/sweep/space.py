"""What a search varies, and the settings that each of its trials then has."""

from dataclasses import dataclass

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from digits.command_line import explain
from digits.config.sweep import SWEEP_ONLY, SweepConfig
from digits.config.train import TrainConfig
from digits.errors import UserError, require
from digits.experiments.composed import composed

EXPECTED = "choice(32, 64), interval(0.1, 0.5), int(interval(1, 9)) or tag(log, interval(0.001, 0.1))"


@dataclass(frozen=True)
class Interval:
    """Numbers from low to high, both of which may be drawn; whole ones where these are."""

    low: float
    high: float
    log: bool


Choices = list[str] | Interval
"""What one setting is drawn from: values as one would type them, or an interval."""


@dataclass(frozen=True)
class Search:
    """What a sweep is made of."""

    overrides: list[str]
    """What the user typed for every trial, as train.py would take it."""
    space: dict[str, Choices]

    def trial(self, drawn: dict[str, str]) -> list[str]:
        """Return what one would type for a trial, with what was drawn for it by the settings' keys."""
        return [*self.overrides, *(f"{key}={value}" for key, value in drawn.items())]


def read_search(settings: SweepConfig, hydra: HydraConf) -> Search:
    """Read the space, and check it on one trial.

    Raises:
        UserError: if a setting cannot be varied, or not as the space says.
    """
    space = {key: _choices(key, text) for key, text in settings.space.items()}
    overrides = [override for override in hydra.overrides.task if _key(override) not in SWEEP_ONLY]
    for override in overrides:
        key, _, value = override.partition("=")
        require(_key(override) not in space, key, value, "left out, because the space varies it")
    search = Search(overrides, space)
    trial_settings(search.trial({key: _first(choices) for key, choices in space.items()}))
    return search


def trial_settings(overrides: list[str]) -> TrainConfig:
    """Compose a trial's settings from what one would type for it.

    Raises:
        UserError: if they do not fit train.py.
    """
    try:
        return composed(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"space: {explain(error, TrainConfig)}") from error
    except UserError as error:
        raise UserError(f"space: {error}") from error


def _key(override: str) -> str:
    """Return the key of what was typed; of the space's own settings, `space`."""
    key = override.lstrip("+~").partition("=")[0].partition("@")[0]
    return "space" if key.startswith("space.") else key


def _first(choices: Choices) -> str:
    return str(choices.low) if isinstance(choices, Interval) else choices[0]


def _choices(key: str, text: str) -> Choices:
    """Read what a setting is drawn from.

    Raises:
        UserError: if that is not in Hydra's grammar, or there is nothing to draw.
    """
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
    except HydraException as error:
        raise UserError(f"space.{key}={text}: must be {EXPECTED}") from error
    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, log = value.start, value.end, "log" in value.tags
        if low is None or high is None or low >= high or (log and low <= 0):
            expected = "an interval from low to high, above 0 where it is logarithmic"
            raise UserError(f"space.{key}={text}: must be {expected}")
        return Interval(low, high, log)
    choices = list(override.sweep_string_iterator()) if override.is_choice_sweep() else []
    require(len(set(choices)) == len(choices) > 0, f"space.{key}", text, f"{EXPECTED}, no value twice")
    return choices
