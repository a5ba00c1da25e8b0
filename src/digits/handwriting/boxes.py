"""Boxes round parts of a picture."""

from dataclasses import dataclass

import numpy as np

from digits.handwriting.morphology import Mask


@dataclass(frozen=True)
class Box:
    """A part of a picture: its pixels from top to below bottom and from left to before right."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def around(cls, mask: Mask) -> "Box":
        """Return the smallest box round a mask, [height, width], that is somewhere true."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return cls(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)

    @property
    def height(self) -> int:
        """Pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left

    def holds_middle(self, other: "Box") -> bool:
        """Whether the other's middle lies in it."""
        across, down = other.left + other.right, other.top + other.bottom
        return 2 * self.left <= across <= 2 * self.right and 2 * self.top <= down <= 2 * self.bottom

    def in_place_of(self, other: "Box") -> bool:
        """Whether one of the two holds the other's middle, so that both are of one digit."""
        return self.holds_middle(other) or other.holds_middle(self)

    def turned_back(self, turns: int, height: int, width: int) -> "Box":
        """Return it in a picture of that height and width, where it is in one that was turned.

        Args:
            turns: quarter turns clockwise, by which the picture was turned.
            height: of the picture before.
            width: of the picture before.
        """
        box = self
        sides = (height, width) if turns % 2 == 0 else (width, height)
        for _ in range(turns):  # a quarter turn back each time
            down, across = sides
            box = Box(across - box.right, box.top, across - box.left, box.bottom)
            sides = across, down
        return box

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts it out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)
