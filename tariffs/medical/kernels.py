"""Every jitted function of the package: arrays in, arrays out, nothing imported from other files.

Numba's disk cache does not notice changes elsewhere, so a kernel may use only what stands here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]

RATIO_ONE = 10_000
HALF_UP, HALF_EVEN, DOWN, UP = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def settle_years(
    order: Ints,
    group: Ints,
    scope: Ints,
    cell: Ints,
    deductible: Ints,
    share: Ints,
    cap: Ints,
    rounding: int,
    deductible_consumed: Ints,
    fund_consumed: Ints,
    deductible_paid: Ints,
    fund_paid: Ints,
    capped: npt.NDArray[np.bool_],
) -> None:
    """Walk the visits of each person's year in settlement order.

    ``order`` lists row numbers. ``group``, ``scope`` (fen) and ``cell`` (−1 = not covered, skipped) are per
    row; ``deductible`` (fen), ``share`` (1/10,000) and ``cap`` (fen) per cell; the two counters per group are
    moved in place. Fills ``deductible_paid``, ``fund_paid`` and ``capped`` per row. This is a loop because
    the deductible may differ from visit to visit, which no cumulative sum expresses.
    """
    for position in range(len(order)):
        row = order[position]
        terms = cell[row]
        if terms < 0:
            continue
        owner = group[row]
        open_deductible = max(deductible[terms] - deductible_consumed[owner], 0)
        own = min(scope[row], open_deductible)
        product = (scope[row] - own) * share[terms]
        paid = product // RATIO_ONE
        rest = product - paid * RATIO_ONE
        if rounding == HALF_UP:
            paid += 2 * rest >= RATIO_ONE
        elif rounding == HALF_EVEN:
            paid += 2 * rest > RATIO_ONE or (2 * rest == RATIO_ONE and paid % 2 == 1)
        elif rounding == UP:
            paid += rest > 0
        room = max(cap[terms] - fund_consumed[owner], 0)
        capped[row] = paid > room
        paid = min(paid, room)
        deductible_paid[row] = own
        fund_paid[row] = paid
        deductible_consumed[owner] += own
        fund_consumed[owner] += paid
