"""Columns of lists in Arrow batches."""

import numpy as np
import pyarrow as pa

from tfrs_pretrain.features.lists import filled, hash_lists, list_column, replace_list_values


def test_lists_lose_missing_values_and_what_is_beyond_the_limit():
    column = pa.array([["a", None, "b", "", "c", "d"], None, [], ["", None], ["e"]])
    assert list_column(column, "string", 3).to_pylist() == [["a", "b", "c"], [], [], [], ["e"]]
    integers = pa.array([[1, -1, 2], [None, 3]], pa.list_(pa.int32()))
    cut = list_column(pa.concat_arrays([integers, integers]).slice(1, 2), "int64", 1)
    assert (cut.to_pylist(), cut.type) == ([[3], [1]], pa.list_(pa.int64()))


def test_mapping_keeps_lengths():
    assert replace_list_values(pa.array([[1, 2], [], [3]]), np.array([7, 8, 9])).to_pylist() == [[7, 8], [], [9]]


def test_hashes_tell_lists_apart_by_values_order_and_length():
    different = [["a"], ["b"], ["a", "b"], ["b", "a"], [], ["a", "a"], ["ab"]]
    hashes = hash_lists(pa.array([*different, ["a", "b"], None]))
    assert len(set(hashes[:7].tolist())) == 7
    assert hashes[7] == hashes[2]
    assert hashes[8] == hashes[4]
    assert hash_lists(pa.array(different).slice(2, 2)).tolist() == hashes[2:4].tolist()


def test_the_latest_values_are_retained_on_request():
    column = pa.array([["a", None, "b", "", "c", "d", ""], None, ["", "e"], ["f", "g", "h"]])
    assert list_column(column, "string", 2, latest=True).to_pylist() == [["c", "d"], [], ["e"], ["g", "h"]]
    sliced = pa.array([[1, 2], [-1, 3, 4, -1], [5]]).slice(1, 2)
    assert list_column(sliced, "int64", 1, latest=True).to_pylist() == [[4], [5]]


def test_dictionary_encoded_lists_are_decoded():
    values = pa.array(["a", "b", "a"]).dictionary_encode()
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), values)
    assert list_column(lists, "string", 5).to_pylist() == [["a", "b"], ["a"]]


def test_null_lists_become_empty_ones():
    lists = filled(pa.array([["a"], None, []]).slice(1))
    assert (lists.to_pylist(), lists.null_count) == ([[], []], 0)
