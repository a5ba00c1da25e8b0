"""What a setting may be, written beside its type: `rate: Annotated[float, Range(0, above=True)]`."""

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar, get_args, get_type_hints

from digits.errors import require

MAX_COUNT = 1_000_000_000
"""Of whatever is counted: beyond any use, and far from where whole numbers overflow."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high; without `high` all finite ones.

    Args:
        low: the smallest.
        high: the largest.
        above: whether `low` itself is too small.
        below: whether `high` itself is too large.
        note: what the message adds, such as a unit.
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False
    note: str = ""

    def allows(self, value: float) -> bool:
        """Whether a number is in the range; NaN never is."""
        low = value > self.low if self.above else value >= self.low
        return low and (value < self.high if self.below or self.high == math.inf else value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            words = f"above {self.low} and finite" if self.above else f"{self.low} or above and finite"
        else:
            start = f"above {self.low}, to" if self.above else f"{self.low} to"
            words = f"{start} below {self.high}" if self.below else f"{start} {self.high}"
        return words + self.note


class OneOf:
    """One of some names.

    Args:
        names: which.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    def allows(self, value: str) -> bool:
        """Whether a text is one of the names."""
        return value in self.names

    def __str__(self) -> str:
        return "one of " + ", ".join(self.names)


@dataclass(frozen=True)
class Pattern:
    """Text of some form.

    Args:
        regex: what all of it must match.
        right: the form in words, for the message.
    """

    regex: str
    right: str

    def allows(self, value: str) -> bool:
        """Whether a text has the form."""
        return re.fullmatch(self.regex, value) is not None

    def __str__(self) -> str:
        return self.right


@dataclass(frozen=True)
class NotEmpty:
    """Any text but the empty one, or a list with at least one value, none of them empty or there twice.

    Args:
        right: what it should be, for the message.
    """

    right: str

    def allows(self, value: str | list[Any]) -> bool:
        """Whether there is something in it."""
        if isinstance(value, str):
            return value != ""
        return bool(value) and len(set(value)) == len(value) and all(str(part).strip() for part in value)

    def __str__(self) -> str:
        return self.right


class Settings:
    """Base of the dataclasses: checks each value by the rules beside its type, where it is not null."""

    PREFIX: ClassVar[str] = ""
    """What stands before a setting's name on the command line, such as `data.`."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: for the first one that is not allowed.
        """
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name)
            for rule in getattr(hint, "__metadata__", ()) if value is not None else ():
                null = ", or null" if type(None) in get_args(get_args(hint)[0]) else ""
                require(rule.allows(value), self.PREFIX + name, value, f"{rule}{null}")
