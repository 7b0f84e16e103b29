"""Checks the sampling of negatives against sets and counts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.demo.exposures import Promotions, sample_negatives


def _sets(visits: np.ndarray, positions: np.ndarray, count: int) -> list[list[int]]:
    return [sorted(positions[visits == visit].tolist()) for visit in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25), st.integers(0, 25)), min_size=1, max_size=8),
       st.integers(1, 9), st.integers(0, 3))
def test_samples_are_distinct_and_never_positive(segments, per_positive, seed):
    first = np.array([start for start, _, _ in segments])
    available = np.array([size for _, size, _ in segments])
    positives = [np.arange(min(bought, size)) + start for start, size, bought in segments]
    visit = np.repeat(np.arange(len(segments)), [len(part) for part in positives])
    visits, positions = sample_negatives(first, available, visit=visit, positive=np.concatenate(positives),
                                         per_positive=per_positive, generator=np.random.default_rng(seed))
    for number, sampled in enumerate(_sets(visits, positions, len(segments))):
        free = set(range(first[number], first[number] + available[number])) - set(positives[number].tolist())
        assert len(set(sampled)) == len(sampled)
        assert set(sampled) <= free
        assert len(sampled) == min(per_positive * len(positives[number]), len(free))


def test_every_free_position_is_equally_likely():
    """20,000 visits to a segment of 10 with position 3 bought: sparse (1 of 9) and dense (6 of 9) samples."""
    visits = 20000
    for per_positive in (1, 6):
        _, positions = sample_negatives(
            np.zeros(visits, np.int64), np.full(visits, 10), visit=np.arange(visits),
            positive=np.full(visits, 3), per_positive=per_positive, generator=np.random.default_rng(0))
        share = np.bincount(positions, minlength=10) / visits
        assert share[3] == 0
        # The standard deviation of a share is below .0036.
        np.testing.assert_allclose(np.delete(share, 3), per_positive / 9, atol=0.016)


def test_find_and_segments():
    promotions = Promotions(np.array([2, 2, 5]), np.array([10, 30, 10]))
    found = promotions.find(np.array([2, 2, 5, 5, 9]), np.array([30, 20, 10, 30, 10]))
    assert found.tolist() == [1, -1, 2, -1, -1]
    first, available = promotions.segments(np.array([2, 5, 7]))
    assert available.tolist() == [2, 1, 0]
    assert first.tolist()[:2] == [0, 2]
