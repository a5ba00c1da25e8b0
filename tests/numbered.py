"""Pages whose pixels have the numbers of their digits, and what a network says of them that knows these."""

import numpy as np
from numpy.typing import NDArray

from digits.data.synthetic.pages import targets
from digits.handwriting.grouping import USUAL_SIZE

Array = NDArray[np.float32]
SIDE = 256


def votes_of(numbers: NDArray[np.int16]) -> Array:
    """What a network says that knows the digits, [3, height/2, width/2]."""
    votes = targets(numbers)[1:, ::2, ::2].copy()
    votes[:2] /= USUAL_SIZE
    votes[2] -= np.log(USUAL_SIZE)
    return votes
