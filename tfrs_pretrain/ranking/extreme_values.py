"""Numbers of a batch that are too far from the training data for float32 arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.ranker import Ranker

EXTREME = 1e4  # training standard deviations


def describe_extreme_value(ranker: Ranker, batch: Mapping[str, Any]) -> str | None:
    """Names the numeric feature with the most extreme value of a batch; None if all values are ordinary.

    Args:
      ranker: its inputs have the training statistics.
      batch: columns [batch] by name.
    """
    found = []
    for name, statistics in ranker.inputs.numeric.items():
        values = np.asarray(batch[name])
        scaled = np.abs(statistics.normalize(tf.constant(values)).numpy())
        place = int(np.argmax(np.where(np.isnan(scaled), np.inf, scaled)))
        if not scaled[place] <= EXTREME:
            found.append((float(scaled[place]), name, float(values[place])))
    if not found:
        return None
    scaled_value, name, value = max(found)
    return (f"feature {name!r} has the value {value:g}, {scaled_value:.2g} standard deviations from its mean in "
            "training: correct the log, or replace such values by missing ones")


def check_scores(ranker: Ranker, batch: Mapping[str, Any], scores: tf.Tensor, split: str) -> None:
    """Checks that the scores of a batch are finite.

    Raises:
      UserError: names the feature whose value is the likely reason.
    """
    if not np.isfinite(scores.numpy()).all():
        reason = describe_extreme_value(ranker, batch)
        raise UserError(f"the ranker's scores for {split} are not finite: "
                        + (reason or "its weights have diverged; lower the learning rate"))
