"""Mean and standard deviation that do not depend on the order or the batches in which values come.

float32 values are integers times powers of two. Their mantissas are summed exactly as integers for each exponent, so
partial sums add up to the same total in any order, and only the final result is rounded.
"""

import math
from collections.abc import Iterable
from fractions import Fraction

import apache_beam as beam
import numpy as np

EXPONENTS = 512  # float32 exponents, shifted to be positive
SHIFT = 256
HALF = 1 << 12  # a 24-bit mantissa is high * HALF + low


class ExactMoments(beam.CombineFn):
    """float32 arrays (NaN: missing) -> ``{"mean": m, "std": s}`` of all their values.

    A feature that is constant or always missing gets standard deviation 1 (and mean 0 if always missing), so that
    standardising by it is always defined.
    """

    def create_accumulator(self) -> np.ndarray:
        # Rows: counts, sums of mantissas, then of high * high, high * low, low * low.
        return np.zeros((5, EXPONENTS), np.int64)

    def add_input(self, accumulator: np.ndarray, values: np.ndarray) -> np.ndarray:
        return accumulator + sums_by_exponent(values[~np.isnan(values)])

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        return sum(accumulators, self.create_accumulator())

    def extract_output(self, accumulator: np.ndarray) -> dict[str, float]:
        count = int(accumulator[0].sum())
        if not count:
            return {"mean": 0.0, "std": 1.0}
        total = square = Fraction(0)
        for exponent in np.flatnonzero(accumulator[0]):
            scale = Fraction(2) ** (int(exponent) - SHIFT)
            _, linear, high, cross, low = (int(value) for value in accumulator[:, exponent])
            total += linear * scale
            square += (high * HALF**2 + 2 * cross * HALF + low) * scale**2
        variance = square / count - (total / count) ** 2
        return {"mean": float(total / count), "std": math.sqrt(variance) if variance > 0 else 1.0}


def sums_by_exponent(values: np.ndarray) -> np.ndarray:
    """int64 [5, EXPONENTS] sums over finite float32 values; exact for up to 2^28 values at a time."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    mantissa = np.rint(fraction * HALF**2)  # |mantissa| <= 2^24, an integer for every float32
    high = np.trunc(mantissa / HALF)
    low = mantissa - high * HALF
    bucket = exponent - 24 + SHIFT
    terms = (np.ones_like(mantissa), mantissa, high * high, high * low, low * low)
    return np.stack([np.bincount(bucket, term, EXPONENTS).astype(np.int64) for term in terms])
