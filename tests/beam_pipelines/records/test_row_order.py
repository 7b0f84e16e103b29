"""The order of rows depends on their values only."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.records.row_order import HASH, SmallestHashes, decode_dictionaries, sort_rows


def _table(hashes, **columns) -> pa.Table:
    return pa.table({**columns, HASH: pa.array(hashes, pa.uint64())})


def test_rows_are_sorted_by_hash_then_by_the_other_columns_in_their_order():
    table = _table([2, 1, 2, 2, 2**64 - 1], b=[1, 9, 1, 0, 0], a=["y", "z", "x", "z", ""])
    assert sort_rows(table).to_pydict() == {
        "b": [9, 0, 1, 1, 0], "a": ["z", "z", "x", "y", ""], HASH: [1, 2, 2, 2, 2**64 - 1]}


def test_lists_are_carried_along_but_not_compared():
    table = _table([5, 3, 3], tags=[["a"], ["z"], []], x=[0, 2, 1])
    assert sort_rows(table)["tags"].to_pylist() == [[], ["z"], ["a"]]


def test_dictionaries_become_plain_columns_in_place():
    table = pa.table({"x": pa.array(["b", None, "a"]).dictionary_encode(), "y": [1, 2, 3]})
    decoded = decode_dictionaries(table)
    assert decoded.schema.names == ["x", "y"]
    assert decoded.schema.types == [pa.string(), pa.int64()]
    assert decoded.to_pydict() == table.to_pydict()


def _combine(limit: int, *batches: pa.RecordBatch) -> pa.Table | None:
    combine = SmallestHashes(limit)
    parts = [combine.add_input(combine.create_accumulator(), batch) for batch in batches]
    return combine.extract_output(combine.merge_accumulators([combine.create_accumulator(), *parts]))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_ties_at_the_limit_are_broken_by_value(limit):
    """Four rows of one hash: the limit cuts through them, wherever the batches are divided."""
    expected = ["z", "a", "b", "c", "d"][:limit]
    rows = _table([7, 7, 1, 7, 7], name=["d", "b", "z", "a", "c"])
    for cuts in ([0, 5], [0, 2, 5], [0, 1, 2, 3, 4, 5]):
        batches = [rows.slice(start, end - start).combine_chunks().to_batches()[0]
                   for start, end in itertools.pairwise(cuts)]
        assert _combine(limit, *batches)["name"].to_pylist() == expected


def test_batches_with_different_dictionaries_are_merged_by_value():
    batches = [pa.RecordBatch.from_pydict({HASH: pa.array([hashed], pa.uint64()), "x": pa.array([value])
                                           .dictionary_encode()}) for hashed, value in ((2, "b"), (1, "c"), (1, "a"))]
    assert _combine(2, *batches).to_pydict() == {HASH: [1, 1], "x": ["a", "c"]}


def test_no_rows_give_no_table():
    assert _combine(3) is None


def test_only_rows_that_may_be_smallest_are_sorted():
    batch = pa.RecordBatch.from_pydict({HASH: np.array([5, 1, 3, 3, 9], np.uint64)})
    assert SmallestHashes(2)._candidates(batch)[HASH].to_pylist() == [1, 3, 3]
