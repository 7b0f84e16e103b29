"""The schedule of successive halving: how many seeds each rung has, and the share of the time it may use.

After Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits" (ICML 2013): each rung drops the
worse half and doubles what the others have received. Here that is the number of training seeds. Every run is a
complete training, because a ranker trained on fewer impressions overrates pretrained rows: the fewer labels, the more
they help.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Rung:
    """One round of a race.

    Attributes:
      seeds: number of seeds that each candidate has been trained with at its end.
      finish_by: share of the time budget by which runs of the rung have to finish.
    """

    seeds: int
    finish_by: float


def schedule(candidates: int, seeds: int) -> list[Rung]:
    """Return the rungs of a race; each has a share of the time in proportion to its planned number of runs.

    Args:
      candidates: number of candidates beside the default, which takes part in every rung.
      seeds: number of seeds in the last rung, at least 2.
    """
    totals = [2**power for power in range(seeds.bit_length()) if 2**power < seeds] + [seeds]
    runs, racing, before = [], candidates, 0
    for total in totals:
        runs.append((racing + 1) * (total - before))
        racing, before = survivors(racing), total
    return [Rung(total, sum(runs[:index + 1]) / sum(runs)) for index, total in enumerate(totals)]


def survivors(candidates: int) -> int:
    """Return how many of the candidates take part in the next rung: half of them, rounded up."""
    return (candidates + 1) // 2
