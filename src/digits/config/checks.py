"""What a setting may be, written beside its type: `momentum: Annotated[float, between(0, 1, below=True)]`."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

from digits.errors import require

MAX_COUNT = 1_000_000_000
"""The most of whatever is counted: beyond any use, and far from where whole numbers overflow."""


@dataclass(frozen=True)
class Rule:
    """What a value may be, and that in words."""

    allows: Callable[[Any], bool]
    expected: str


def between(low: float, high: float = math.inf, above: bool = False, below: bool = False, note: str = "") -> Rule:
    """Return the rule for numbers from low to high; NaN is never allowed, and without `high` infinity is not.

    Args:
        low: the smallest.
        high: the largest.
        above: whether `low` itself is too small.
        below: whether `high` itself is too large.
        note: what the message adds, such as a unit.
    """
    if high == math.inf:
        expected = f"above {low}" if above else f"{low} or above"
    elif above:
        expected = f"above {low} and {'below' if below else 'up to'} {high}"
    else:
        expected = f"{low} to {'below ' if below else ''}{high}"

    def allows(value: float) -> bool:
        is_high_enough = value > low if above else value >= low
        return is_high_enough and (value < high if below or high == math.inf else value <= high)

    return Rule(allows, expected + note)


def one_of(*names: str) -> Rule:
    """Return the rule for some names."""
    return Rule(names.__contains__, "one of " + ", ".join(names))


def pattern(regex: str, expected: str) -> Rule:
    """Return the rule for text that matches a regular expression as a whole."""
    return Rule(lambda text: re.fullmatch(regex, text) is not None, expected)


def not_empty(expected: str) -> Rule:
    """Return the rule for text that is not empty."""
    return Rule(bool, expected)


OutputsDir = Annotated[str, not_empty("a folder")]
"""Where all runs are."""


def distinct(expected: str, choices: Callable[[Any], bool]) -> Rule:
    """Return the rule for a list with at least one value, each a choice and none there twice."""
    return Rule(lambda values: 0 < len(values) == len(set(values)) and all(map(choices, values)), expected)


class Settings:
    """Base of the dataclasses: checks each value by the rule beside its type."""

    prefix = ""
    """What stands before a setting's name on the command line, such as `data.`; said once, as an argument of a group's
    base class."""

    def __init_subclass__(cls, prefix: str = "") -> None:
        """Keep a group's prefix."""
        super().__init_subclass__()
        cls.prefix = prefix or cls.prefix

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: for the first one that is not allowed.
        """
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name)
            for rule in getattr(hint, "__metadata__", ()):
                may_be_null = type(None) in get_args(get_args(hint)[0])
                allowed = may_be_null if value is None else rule.allows(value)
                require(allowed, self.prefix + name, value, rule.expected + (", or null" if may_be_null else ""))
