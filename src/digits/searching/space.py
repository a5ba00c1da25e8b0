"""What a search varies, and the settings that each of its trials then has."""

from dataclasses import dataclass

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from digits.command_line import explain
from digits.config import TrainConfig
from digits.errors import UserError, require
from digits.experiments import composed
from digits.searching.config import OWN, SweepConfig

RIGHT = "choice(32, 64), interval(0.1, 0.5), int(interval(1, 9)) or tag(log, interval(0.001, 0.1))"


@dataclass(frozen=True)
class Interval:
    """Numbers from low to high, both of which may be drawn; whole ones where these are."""

    low: float
    high: float
    log: bool


Varied = list[str] | Interval
"""What one setting is drawn from: values as one would type them, or an interval."""


@dataclass(frozen=True)
class Search:
    """What a sweep is made of."""

    typed: list[str]
    """What the user typed for every trial, as train.py would take it."""
    space: dict[str, Varied]

    def trial(self, drawn: dict[str, str]) -> list[str]:
        """Give what one would type for a trial, with what was drawn for it by the settings' keys."""
        return [*self.typed, *(f"{key}={value}" for key, value in drawn.items())]


def wanted(settings: SweepConfig, hydra: HydraConf) -> Search:
    """Read the space, and check it on one trial.

    Raises:
        UserError: if a setting cannot be varied, or not as the space says.
    """
    require(hydra.mode != RunMode.MULTIRUN, "-m", "", "left out; sweep.py has the space to vary settings")
    space = {key: _varied(key, text) for key, text in settings.space.items()}
    typed = [one for one in hydra.overrides.task if _key(one) not in OWN]
    for one in typed:
        key, _, value = one.partition("=")
        require(_key(one) not in space, key, value, "left out, because the space varies it")
    search = Search(typed, space)
    ends = {key: str(one.low) if isinstance(one, Interval) else one[0] for key, one in space.items()}
    run_settings(search.trial(ends))
    return search


def run_settings(typed: list[str]) -> TrainConfig:
    """Compose a trial's settings from what one would type for it.

    Raises:
        UserError: if they do not fit train.py.
    """
    try:
        return composed(typed)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"space: {explain(error, TrainConfig)}") from error
    except UserError as error:
        raise UserError(f"space: {error}") from error


def _key(override: str) -> str:
    """Give the key of what was typed; of the space's own settings, `space`."""
    key = override.lstrip("+~").partition("=")[0].partition("@")[0]
    return "space" if key.startswith("space.") else key


def _varied(key: str, text: str) -> Varied:
    """Read what a setting is drawn from.

    Raises:
        UserError: if that is not in Hydra's grammar, or there is nothing to draw.
    """
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
    except HydraException as error:
        raise UserError(f"space.{key}={text}: must be {RIGHT}") from error
    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, log = value.start, value.end, "log" in value.tags
        if low is None or high is None or low >= high or (log and low <= 0):
            right = "an interval from low to high, above 0 where it is logarithmic"
            raise UserError(f"space.{key}={text}: must be {right}")
        return Interval(low, high, log)
    require(override.is_choice_sweep(), f"space.{key}", text, RIGHT)
    choices = list(override.sweep_string_iterator())
    require(len(set(choices)) == len(choices) > 0, f"space.{key}", text, "a choice of values, none of them twice")
    return choices
