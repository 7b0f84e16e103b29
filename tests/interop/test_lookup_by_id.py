"""Rows by raw id: every form of ids, unknown ids, free rows, ids of another type."""

import numpy as np
import pyarrow as pa
import pytest
from handmade_rows import ITEMS, TABLES, USERS

import tfrs_pretrain as tp
from tfrs_pretrain.hashing import hash_ids

# Row of each id, written down by hand: shared rows first, then the ids of the vocabulary; item row 3 is free.
ITEM_ROWS = {"é": 2, "b": 4, "": 5, "cc": 6}
USER_ROWS = {5: 3, -9: 4, 7: 5, 2**40: 6}


def test_known_ids_have_their_rows(opened_rows):
    assert opened_rows.rows(list(ITEM_ROWS)).tolist() == list(ITEM_ROWS.values())
    assert opened_rows.rows(list(USER_ROWS), "user").tolist() == list(USER_ROWS.values())
    np.testing.assert_array_equal(opened_rows.lookup(["b", "é"]), TABLES["item"][[4, 2]])
    np.testing.assert_array_equal(opened_rows.lookup([7], "user"), TABLES["user"][[5]])


def test_unknown_ids_have_the_shared_row_of_their_hash(opened_rows):
    for unknown, table, shared in (("new", "item", ITEMS.oov_rows), (6, "user", USERS.oov_rows)):
        row = int(hash_ids(np.array([unknown]))[0] % np.uint64(shared))
        np.testing.assert_array_equal(opened_rows.lookup([unknown], table), TABLES[table][[row]])


@pytest.mark.parametrize("ids", [
    ["b", "é"], ("b", "é"), np.array(["b", "é"]), np.array(["b", "é"], object), pa.array(["b", "é"]),
    pa.array(["b", "é"], pa.large_string()), pa.chunked_array([["b"], ["é"]]),
    pa.array(["b", "é"]).dictionary_encode()])
def test_ids_may_be_any_sequence(ids, opened_rows):
    assert opened_rows.rows(ids).tolist() == [4, 2]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integers_may_have_any_width(dtype, opened_rows):
    assert opened_rows.rows(np.array([7, 5], dtype), "user").tolist() == [5, 3]


def test_the_shape_of_the_ids_is_kept(opened_rows):
    assert opened_rows.lookup("b").shape == (3,)
    assert opened_rows.lookup([["b", "é"], ["cc", ""]]).shape == (2, 2, 3)
    assert opened_rows.lookup([]).shape == (0, 3)
    assert opened_rows.lookup(np.empty((0, 4), object)).shape == (0, 4, 3)
    assert opened_rows.rows(5, "user").shape == ()


def test_a_missing_id_is_the_missing_value(opened_rows):
    assert opened_rows.rows([None, "b"]).tolist() == [ITEM_ROWS[""], 4]
    assert opened_rows.rows([None, 7], "user").tolist() == opened_rows.rows([-1, 7], "user").tolist()


@pytest.mark.parametrize(("ids", "table", "message"), [
    ([1, 2], "item", r"are strings \(string\), received 1: convert the ids, or name another table"),
    (["b", 3], "item", r"are strings \(string\)"),
    ([b"b"], "item", r"are strings \(string\)"),
    (["5"], "user", r"are integers \(int64\), received '5'"),
    ([5.0], "user", r"are integers \(int64\)"),
    ([True], "user", r"are integers \(int64\)"),
    (pa.array(["7"]), "user", r"are integers \(int64\), received '7'"),
    (pa.array([7]), "item", r"are strings \(string\), received 7"),
    (pa.array([1.0]), "item", r"are strings \(string\)"),
    ([2**63], "user", r"are integers \(int64\)"),
    (["b"], "shop", r"no table 'shop', only \['item', 'user'\]"),
])
def test_other_ids_are_refused_in_one_line(ids, table, message, opened_rows):
    with pytest.raises(tp.UserError, match=message) as caught:
        opened_rows.lookup(ids, table)
    assert "\n" not in str(caught.value)
