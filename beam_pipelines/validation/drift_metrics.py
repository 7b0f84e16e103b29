"""Distances between two distributions of a column, from their histograms."""

import dataclasses
from collections.abc import Hashable, Mapping

import numpy as np

NUM_GROUPS = 10
MAX_CATEGORIES = 19
SMOOTHING = 0.5


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of floats by bin.

    Attributes:
      bins: int64 [n] bin numbers, ascending.
      counts: int64 [n] occurrences of each bin.
      missing: number of values without a bin (NaN or infinite).
    """

    bins: np.ndarray
    counts: np.ndarray
    missing: int = 0


def population_stability_index(counts: np.ndarray, reference: np.ndarray) -> float:
    """Computes PSI = sum over groups of (p - q) ln(p / q) for int [k] counts of the same k groups.

    Source: Siddiqi, "Credit Risk Scorecards" (2006), with the usual interpretation: below 0.1 stable, above 0.25
    shifted. PSI is Jeffreys' divergence. Half an occurrence is added to each group, so an empty group adds a finite
    value. Equal distributions give about ``(k - 1) (1 / n + 1 / m)`` for samples of n and m: small samples look
    unstable.
    """
    p, q = ((part + SMOOTHING) / (part.sum() + SMOOTHING * len(part)) for part in (counts, reference))
    return float(((p - q) * np.log(p / q)).sum())


def kolmogorov_smirnov(one: Histogram, other: Histogram) -> float:
    """Computes the largest distance between two empirical distribution functions; 0 if either is empty.

    The functions are compared at the ends of the bins.
    """
    if not one.counts.sum() or not other.counts.sum():
        return 0.0
    bins = np.union1d(one.bins, other.bins)
    functions = [np.cumsum(_counts_at(part, bins)) / part.counts.sum() for part in (one, other)]
    return float(np.abs(functions[0] - functions[1]).max())


def numeric_psi(histogram: Histogram, reference: Histogram) -> float:
    """Computes the PSI over the deciles of the reference, with missing values as an additional group."""
    cumulative = np.cumsum(reference.counts)
    total = cumulative[-1] if len(cumulative) else 0
    places = np.searchsorted(cumulative, total * np.arange(1, NUM_GROUPS) / NUM_GROUPS)
    edges = np.unique(reference.bins[places]) if total else np.empty(0, np.int64)
    groups = [np.append(np.bincount(np.searchsorted(edges, part.bins), part.counts, len(edges) + 1), part.missing)
              for part in (histogram, reference)]
    return population_stability_index(*groups)


def categorical_psi(counts: Mapping[Hashable, int], reference: Mapping[Hashable, int]) -> float:
    """Computes the PSI over the most frequent values of the reference, with all others as one group."""
    frequent = sorted(reference, key=lambda value: (-reference[value], str(value)))[:MAX_CATEGORIES]
    groups = []
    for part in (counts, reference):
        selected = [part.get(value, 0) for value in frequent]
        groups.append(np.array([*selected, sum(part.values()) - sum(selected)]))
    return population_stability_index(*groups)


def _counts_at(histogram: Histogram, bins: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(bins), np.int64)
    counts[np.searchsorted(bins, histogram.bins)] = histogram.counts
    return counts
