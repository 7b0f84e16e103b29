"""Mean and standard deviation that do not depend on the order or the batches of the values.

float32 values are integers times powers of two. Their mantissas are summed exactly, as integers for each exponent.
So partial sums give the same total in any order, and only the final result is rounded.
"""

import math
from collections.abc import Iterable
from fractions import Fraction

import apache_beam as beam
import numpy as np

NUM_EXPONENTS = 512  # float32 exponents, shifted to be positive
SHIFT = 256
HALF = 1 << 12  # a 24-bit mantissa is high * HALF + low


class ExactMoments(beam.CombineFn):
    """Combines float32 arrays (NaN: missing) into ``{"mean": m, "std": s}`` of all their values.

    The standard deviation of a feature that is constant or always missing is set to 1, and the mean to 0 if it is
    always missing. So normalization by it is always defined.
    """

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((5, NUM_EXPONENTS), np.int64)

    def add_input(self, accumulator: np.ndarray, values: np.ndarray) -> np.ndarray:
        total: np.ndarray = accumulator + sums_by_exponent(values[~np.isnan(values)])
        return total

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        total: np.ndarray = sum(accumulators, self.create_accumulator())
        return total

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
    """Sums finite float32 [n] values exactly, for n up to 2^28.

    Returns:
      int64 [5, NUM_EXPONENTS]: for each exponent the count, and the sums of mantissa, high * high, high * low and
      low * low.
    """
    fraction, exponent = np.frexp(values.astype(np.float64))
    mantissa = np.rint(fraction * HALF**2)  # |mantissa| <= 2^24, an integer for every float32
    high = np.trunc(mantissa / HALF)
    low = mantissa - high * HALF
    bucket = exponent - 24 + SHIFT
    terms = (np.ones_like(mantissa), mantissa, high * high, high * low, low * low)
    return np.stack([np.bincount(bucket, term, NUM_EXPONENTS).astype(np.int64) for term in terms])
