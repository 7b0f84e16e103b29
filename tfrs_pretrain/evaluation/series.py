"""Test of the mean of a short series whose neighbouring values depend on each other.

A difference between two models that are carried over windows is such a series: a window's rankers start from those of
the window before, and a week resembles the next. The usual t test takes the values for independent and finds effects
that are not there. Estimates by Newey and West need more windows than there are.

Equal-weighted cosine test: Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice", Journal of
Business & Economic Statistics 36, 2018, equations 11 to 13. The long-run variance is the mean square of the ``v``
lowest frequencies of the series, v = 0.4 T^(2/3), and the statistic has Student's distribution with v degrees of
freedom. With a dozen windows, v is 2: such a test shows large effects only, which is what so few windows can show.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfrs_pretrain.evaluation.student_t import p_value, t_quantile


@dataclasses.dataclass(frozen=True)
class SeriesMean:
    """Mean of a series.

    Attributes:
      mean: the mean.
      standard_error: of the mean; None for fewer than three values.
      degrees: degrees of freedom of Student's distribution.
      p: two-sided p value of "the mean is 0"; None for fewer than three values.
    """

    mean: float
    standard_error: float | None
    degrees: int
    p: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> SeriesMean:
        """Test the mean of values in order of time."""
        series = np.asarray(values, np.float64)
        length = len(series)
        degrees = max(1, int(0.4 * length ** (2 / 3)))
        if length < 3:
            return cls(float(series.mean()), None, degrees, None)
        frequencies = np.arange(1, degrees + 1)[:, None]
        waves = math.sqrt(2 / length) * np.cos(math.pi * frequencies * (np.arange(length) + 0.5) / length)
        error = math.sqrt(float(np.square(waves @ series).mean()) / length)
        return cls(float(series.mean()), error, degrees, p_value(float(series.mean()), error, degrees))

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return the interval of the mean; None for fewer than three values."""
        if self.standard_error is None:
            return None
        half = t_quantile(confidence, self.degrees) * self.standard_error
        return self.mean - half, self.mean + half
