"""Recall and NDCG at k within requests, exact when scores are tied.

Impressions with equal scores have no order, so each metric is its mean over all orders of the tied impressions
(McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores",
ECIR 2008). Both metrics are undefined for a request whose labels are all equal: every order of it is equally good.
"""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.metrics.score_blocks import ScoreBlocks

CUTOFFS = (5, 10)


def recall_and_ndcg(blocks: ScoreBlocks, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return recall@k and NDCG@k of each request.

    Recall is the share of a request's positives among its k highest scores. NDCG is DCG divided by the largest possible
    DCG, where a positive at position i (from 1) contributes 1 / log2(i + 1) (Järvelin and Kekäläinen, "Cumulated
    gain-based evaluation of IR techniques", TOIS 2002, with labels 0 and 1).

    Args:
      blocks: the impressions, grouped by request.
      k: number of positions that count.

    Returns:
      float64 [requests] twice, NaN where all labels of a request are equal.
    """
    top, bottom = _places(blocks, k)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    density = blocks.positives / blocks.sizes
    defined, positives = blocks.has_both_labels, blocks.group_positives
    hits = blocks.sums(density * (bottom - top))
    discounted = discounts[bottom]
    discounted -= discounts[top]
    discounted *= density
    gains = blocks.sums(discounted)
    return (np.divide(hits, positives, out=np.full(len(defined), np.nan), where=defined),
            np.divide(gains, discounts[np.minimum(positives, k)], out=np.full(len(defined), np.nan), where=defined))


def _places(blocks: ScoreBlocks, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 [blocks] twice, at most k: impressions of the request above a block, and above the next lower one.
    """
    ends = np.cumsum(blocks.sizes)
    last = np.append(blocks.first_block[1:], len(ends))[: len(blocks.first_block)] - 1
    above = blocks.spread(ends[last])
    above -= ends
    top = np.minimum(above, k).astype(np.int32)
    above += blocks.sizes
    return top, np.minimum(above, k).astype(np.int32)
