"""How well a request's impressions are ordered: recall and NDCG of its first k, exact in the presence of ties.

Impressions of equal score have no order, so each counts with its mean over all orders of them (McSherry and Najork,
"Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008).
Requests with one label only are left out: in them every order is equally good.
"""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.metrics.blocks import ScoreBlocks

CUTOFFS = (5, 10)


def recall_and_ndcg(blocks: ScoreBlocks, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of a request's positives among its k best, and its DCG over the best that there could be.

    The gain of a positive at place i (from 1) is 1 / log2(i + 1) (Järvelin and Kekäläinen, "Cumulated gain-based
    evaluation of IR techniques", TOIS 2002, with labels of 0 and 1).

    Returns:
      float64 [groups] twice, NaN where a request has one label only.
    """
    # Rows above each block, and above the next one below it, of which only the first k places count.
    ends = np.cumsum(blocks.sizes)
    last = np.append(blocks.first_block[1:], len(ends))[: len(blocks.first_block)] - 1
    above = blocks.spread(ends[last]) - ends
    top, bottom = np.minimum(above, k), np.minimum(above + blocks.sizes, k)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    density = blocks.positives / blocks.sizes
    both, positives = blocks.both_labels, blocks.group_positives
    hits = blocks.sums(density * (bottom - top))
    gains = blocks.sums(density * (discounts[bottom] - discounts[top]))
    return (np.divide(hits, positives, out=np.full(len(both), np.nan), where=both),
            np.divide(gains, discounts[np.minimum(positives, k)], out=np.full(len(both), np.nan), where=both))
