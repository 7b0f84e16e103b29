"""Learning rates of pretrained rows that follow the number of engagements behind each row."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.vocabulary import Vocabulary


def evidence_scales(vocabulary: Vocabulary, scale: float, evidence: float) -> np.ndarray:
    """Compute the factor of each row's learning rate.

    The row of an id without engagements has factor 1; with more engagements the factor approaches ``scale``, with the
    weights of a shrinkage estimator: ``scale + (1 - scale) * evidence / (count + evidence)``. A row that unknown ids
    share has factor ``scale``: it stands for many ids, and at a larger rate it would follow the last of them.

    Args:
      vocabulary: provides the engagements of each id in the pretraining window.
      scale: factor of a row with unlimited engagements.
      evidence: number of engagements at which the factor is halfway between 1 and ``scale``.

    Returns:
      float32 [num_rows].
    """
    counts = vocabulary.counts
    doubt = np.where(counts > 0, evidence / np.maximum(counts + evidence, 1), 1.0)
    scales = np.full(vocabulary.num_rows, scale, np.float32)
    scales[vocabulary.oov_rows:] = scale + (1 - scale) * doubt
    return scales
