"""Counts of rows against collections.Counter."""

from collections import Counter
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.transforms import candidate_counts
from beam_pipelines.transforms.candidate_counts import CountCandidates, add_counts

ROWS = st.lists(st.integers(0, 9), max_size=12)


@given(st.lists(ROWS, max_size=5), st.integers(1, 6), st.integers(0, 8))
def test_counts_do_not_depend_on_the_batches(batches, num_accumulators, pending):
    combine = CountCandidates()
    accumulators = [combine.create_accumulator() for _ in range(num_accumulators)]
    with mock.patch.object(candidate_counts, "MIN_PENDING", pending):
        for number, rows in enumerate(batches):
            place = number % num_accumulators
            accumulators[place] = combine.add_input(accumulators[place], np.array(rows, np.int32))
        accumulators[0] = combine.compact(accumulators[0])
        rows, counts = combine.extract_output(combine.merge_accumulators(accumulators))
    assert (rows.dtype, counts.dtype) == (np.int64, np.int64)
    expected = Counter(row for batch in batches for row in batch)
    assert list(zip(rows.tolist(), counts.tolist(), strict=True)) == sorted(expected.items())


def test_counts_are_added_up_when_new_ones_are_as_many(monkeypatch):
    """The number of additions grows with the logarithm of the number of batches."""
    sizes = []
    monkeypatch.setattr(candidate_counts, "MIN_PENDING", 0)
    monkeypatch.setattr(candidate_counts, "add_counts", lambda parts: (sizes.append(len(parts)), add_counts(parts))[1])
    combine, accumulator = CountCandidates(), CountCandidates().create_accumulator()
    for batch in range(64):
        accumulator = combine.add_input(accumulator, np.arange(batch * 10, batch * 10 + 10))
    assert len(sizes) <= 6
    assert combine.extract_output(accumulator)[0].tolist() == list(range(640))


def test_large_counts_are_added_exactly():
    rows, counts = add_counts([(np.array([3]), np.array([2**53])), (np.array([3]), np.array([1]))])
    assert (rows.tolist(), counts.tolist()) == ([3], [2**53 + 1])
