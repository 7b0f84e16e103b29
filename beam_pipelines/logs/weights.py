"""Weights of impressions: a column, divided by the column of the propensity, up to a limit.

Dividing by the propensity estimates the loss and the metrics over impressions that were all shown alike (inverse
propensity weighting: Schnabel et al., "Recommendations as Treatments", ICML 2016). A limit of the weights reduces the
variance of the estimate and adds a bias (Ionides, "Truncated Importance Sampling", JCGS 17, 2008).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from beam_pipelines.jobs.log_spec import LogSpec

LARGEST = float(np.finfo(np.float32).max)  # records store float32


def impression_weights(batch: pa.RecordBatch, log: LogSpec) -> np.ndarray:
    """Returns float64 [n] weights of the rows of a batch; not finite or negative where a value is bad."""
    weights = _numbers(batch, log.weight) if log.weight else np.ones(batch.num_rows)
    if log.propensity:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weights = weights / _numbers(batch, log.propensity)
    return weights if log.max_weight is None else np.minimum(weights, log.max_weight)


def check_weights(batch: pa.RecordBatch, log: LogSpec) -> Iterator[tuple[str, np.ndarray]]:
    """Yields a reason and bool [n], the rows to reject for it."""
    for name, column in (("weight", log.weight), ("propensity", log.propensity)):
        if column:
            values = _numbers(batch, column)
            yield f"missing {name}", batch[column].is_null().to_numpy(zero_copy_only=False)
            if name == "weight":
                yield "weight negative or not finite", ~((values >= 0) & (values < np.inf))
            else:
                yield "propensity outside 0 and 1", ~((values > 0) & (values <= 1))
    if log.weights:
        yield "weight too large", ~(impression_weights(batch, log) <= LARGEST)


def _numbers(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """Returns float64 [n]; NaN where the value is missing."""
    numbers: np.ndarray = batch[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers
