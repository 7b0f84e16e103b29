"""How far a column has moved from a reference, from the histograms of both."""

import dataclasses
from collections.abc import Hashable, Mapping

import numpy as np

BINS = 10
MAX_CATEGORIES = 19
SMOOTHING = 0.5


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of ordered bins (floats), int64 [n] each, bins ascending; ``rest`` counts what has no bin (NaN)."""

    bins: np.ndarray
    counts: np.ndarray
    rest: int = 0


def population_stability_index(counts: np.ndarray, reference: np.ndarray) -> float:
    """PSI = sum over groups of (p - q) ln(p / q) of two int [k] counts of the same groups.

    Siddiqi, "Credit Risk Scorecards" (2006), there with the customary reading below 0.1 stable, above 0.25 moved; it is
    Jeffreys' divergence. Half an occurrence is added to each group, so that an empty one counts but not infinitely.
    Equal distributions give about ``(k - 1) (1 / n + 1 / m)`` for samples of n and m, so that small ones look unstable.
    """
    p, q = ((part + SMOOTHING) / (part.sum() + SMOOTHING * len(part)) for part in (counts, reference))
    return float(((p - q) * np.log(p / q)).sum())


def kolmogorov_smirnov(one: Histogram, other: Histogram) -> float:
    """Largest distance between two empirical distribution functions at the ends of the bins; 0 where one is empty."""
    if not one.counts.sum() or not other.counts.sum():
        return 0.0
    bins = np.union1d(one.bins, other.bins)
    functions = [np.cumsum(_aligned(part, bins)) / part.counts.sum() for part in (one, other)]
    return float(np.abs(functions[0] - functions[1]).max())


def numeric_psi(histogram: Histogram, reference: Histogram) -> float:
    """PSI over the tenths of the reference's values, and missing values as a group of their own."""
    cumulative = np.cumsum(reference.counts)
    total = cumulative[-1] if len(cumulative) else 0
    places = np.searchsorted(cumulative, total * np.arange(1, BINS) / BINS)
    edges = np.unique(reference.bins[places]) if total else np.empty(0, np.int64)
    groups = [np.append(np.bincount(np.searchsorted(edges, part.bins), part.counts, len(edges) + 1), part.rest)
              for part in (histogram, reference)]
    return population_stability_index(*groups)


def categorical_psi(counts: Mapping[Hashable, int], reference: Mapping[Hashable, int]) -> float:
    """PSI over the most frequent values of the reference and all others together."""
    frequent = sorted(reference, key=lambda value: (-reference[value], str(value)))[:MAX_CATEGORIES]
    groups = []
    for part in (counts, reference):
        chosen = [part.get(value, 0) for value in frequent]
        groups.append(np.array([*chosen, sum(part.values()) - sum(chosen)]))
    return population_stability_index(*groups)


def _aligned(histogram: Histogram, bins: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(bins), np.int64)
    counts[np.searchsorted(bins, histogram.bins)] = histogram.counts
    return counts
