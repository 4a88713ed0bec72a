"""How often a word stands in each column of a passage, told by one number of the server's. Pure.

`ts_rank` of a single word is the sum of what its places weigh, the one at place j divided by j², and the heaviest counted whole
(`calc_rank_or` in PostgreSQL's tsrank.c). With the weights here each of the numbers below comes from one combination alone, where the old column `near` is empty. It
costs the server a sixth of what it costs to write the passage's words down and cut the places out.
"""

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["WEIGHTS", "counts"]

NAME, BODY, DATES = 1.0, 0.25, 0.01
"""What a place in each column weighs; one in the old column `near` nothing."""
WEIGHTS = f"{{{DATES}, 0, {BODY}, {NAME}}}"
"""As `ts_rank` takes them, from D to A."""

MOST_NAME, MOST_BODY, MOST_DATES = 3, 60, 2
"""Of passages that hold a word more often, the number does not tell how often."""

_LIMIT = 1.64493406685
"""The server divides by it: what 1/j² adds up to."""
_NEAR = 4e-7
"""By how much single precision may miss; two combinations lie further apart."""


@cache
def _combinations() -> "tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]":
    """The numbers in ascending order, and how often the word stands in name, body and dates for each."""
    import numpy as np

    told: list[tuple[float, tuple[int, int, int]]] = []
    for often in product(range(MOST_NAME + 1), range(MOST_BODY + 1), range(MOST_DATES + 1)):
        weights = [weight for weight, count in zip((NAME, BODY, DATES), often, strict=True) for _ in range(count)]
        # The heaviest come first: the first is the one that is counted whole, and would be anyway. None: it stands in `near` alone.
        told.append((sum(weight / place**2 for place, weight in enumerate(weights, 1)) / _LIMIT, often))
    told.sort()
    return np.array([number for number, _ in told]), np.array([often for _, often in told], np.int64)


def counts(ranks: "npt.NDArray[np.floating]") -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]":
    """For each rank how often the word stands in name, body and dates; and which ranks do not tell."""
    import numpy as np

    numbers, often = _combinations()
    places = np.searchsorted((numbers[1:] + numbers[:-1]) / 2, ranks)
    return often[places], np.abs(numbers[places] - ranks) > _NEAR
