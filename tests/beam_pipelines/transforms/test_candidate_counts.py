"""Counts of rows against collections.Counter."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.transforms.candidate_counts import CountCandidates, add_counts

ROWS = st.lists(st.integers(0, 9), max_size=12)


@given(st.lists(ROWS, max_size=5))
def test_counts_do_not_depend_on_the_batches(batches):
    combine = CountCandidates()
    accumulators = [combine.add_input(combine.create_accumulator(), np.array(rows, np.int32)) for rows in batches]
    rows, counts = combine.extract_output(combine.merge_accumulators(accumulators))
    assert (rows.dtype, counts.dtype) == (np.int64, np.int64)
    expected = Counter(row for batch in batches for row in batch)
    assert list(zip(rows.tolist(), counts.tolist(), strict=True)) == sorted(expected.items())


def test_large_counts_are_added_exactly():
    rows, counts = add_counts([(np.array([3]), np.array([2**53])), (np.array([3]), np.array([1]))])
    assert (rows.tolist(), counts.tolist()) == ([3], [2**53 + 1])
