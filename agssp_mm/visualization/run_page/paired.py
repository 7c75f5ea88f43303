"""Two arms measured under the same seeds."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class PairedDifference(NamedTuple):
    """Mean of paired differences with its 95 % confidence interval (Student's t); NaN from a single pair."""

    mean: float
    low: float
    high: float


def paired_difference(before: Sequence[float], after: Sequence[float]) -> PairedDifference:
    """Compare two arms measured under the same seeds.

    Args:
        before: One value per seed.
        after: One value per seed, in the same order.

    Raises:
        ValueError: If the arms have not the same number of values, or none.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f'pairs are needed, got {len(before)} values and {len(after)} values')
    differences = np.subtract(after, before)
    mean = float(differences.mean())
    if len(differences) == 1:
        return PairedDifference(mean, float('nan'), float('nan'))
    reach = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return PairedDifference(mean, float(mean - reach), float(mean + reach))
