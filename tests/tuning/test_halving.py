"""The schedule of successive halving against a naive twin."""

import pytest

from tfrs_pretrain.tuning.halving import Rung, schedule


def naive_schedule(candidates, seeds):
    """Write down every run as (rung, candidate, seed) and count."""
    names, runs, rung, done = list(range(candidates)), [], 0, 0
    while done < seeds:
        upto = min(2 * done or 1, seeds)
        runs += [(rung, name, seed) for name in ["default", *names] for seed in range(done, upto)]
        names, rung, done = [name for name in names if 2 * name < len(names)], rung + 1, upto
        names = list(range(len(names)))
    ends = [sum(run[0] <= index for run in runs) / len(runs) for index in range(rung)]
    return [(1 + max(run[2] for run in runs if run[0] == index), end) for index, end in enumerate(ends)]


@pytest.mark.parametrize("seeds", range(2, 10))
@pytest.mark.parametrize("candidates", [1, 2, 3, 7, 14])
def test_every_rung_doubles_the_seeds_of_half_the_candidates(candidates, seeds):
    rungs = schedule(candidates, seeds)
    assert [(rung.seeds, pytest.approx(rung.finish_by)) for rung in rungs] == naive_schedule(candidates, seeds)


def test_shares_of_the_time_by_hand():
    # 13 runs with one seed, 7 with one more, 4 with two more
    assert schedule(12, 4) == [Rung(1, 13 / 28), Rung(2, 20 / 28), Rung(4, 1.0)]
