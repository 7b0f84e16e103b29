"""Literal raw rows in, literal clean rows and accounts out."""

import datetime
import math
from collections import Counter

import pyarrow as pa
import pytest

from beam_pipelines.accounting import Account, SumAccounts
from beam_pipelines.cleaning import clean
from beam_pipelines.job import Log
from tfrs_pretrain.config import Window
from tfrs_pretrain.schema import Feature, IdSpace, Schema

SURFACE = Feature(name="surface", source="impressions", kind="categorical", dtype="string")
PRICE = Feature(name="price", source="impressions", column="raw_price", kind="numeric", dtype="float32")


def _schema(user: str = "int64", item: str = "string") -> Schema:
    return Schema(user=IdSpace(column="u", dtype=user), item=IdSpace(column="i", dtype=item), time="t", window="w",
                  label="y", features=(SURFACE, PRICE))


IMPRESSIONS = Log("impressions", _schema(), {"train": Window(start=3, end=5), "test": Window(start=5, end=7)},
                  label="y", context=(SURFACE, PRICE))
GOOD = {"u": 1, "i": "a", "t": 10, "w": 3, "y": 1, "surface": "home", "raw_price": 2.5}


def _batch(*changes: dict, **types: pa.DataType) -> pa.RecordBatch:
    rows = [GOOD | change for change in changes]
    return pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows], types.get(name)) for name in GOOD})


def test_splits_by_window_and_brings_columns_to_their_types():
    parts, account = clean(_batch({}, {"w": 6, "y": 0, "surface": None, "raw_price": None}, {"w": 4, "u": 0}, {"w": 7},
                                  {"w": 2}, u=pa.int16(), raw_price=pa.float64()), IMPRESSIONS)
    assert {split: part.to_pylist() for split, part in parts.items()} == {
        "train": [{"user_id": 1, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": 2.5},
                  {"user_id": 0, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": 2.5}],
        "test": [{"user_id": 1, "item_id": "a", "@time": 10, "label": 0.0, "surface": None, "price": None}],
    }
    assert parts["train"].schema.field("user_id").type == pa.int64()
    assert parts["train"].schema.field("label").type == pa.float32()
    assert account == Account(5, Counter(train=2, test=1), Counter(), 2, 2, 7)


@pytest.mark.parametrize(("change", "reason"), [
    ({"u": None}, "missing user id"),
    ({"u": -1}, "negative user id"),
    ({"i": None}, "missing item id"),
    ({"i": ""}, "missing item id"),
    ({"t": None}, "missing time"),
    ({"w": None}, "missing window"),
    ({"y": None}, "missing label"),
    ({"y": 2}, "label outside 0 and 1"),
    ({"y": -1}, "label outside 0 and 1"),
    ({"u": None, "y": 2}, "missing user id"),
    ({"u": None, "w": 100}, "missing user id"),
])
def test_a_bad_row_is_rejected_once_under_its_first_reason(change, reason):
    parts, account = clean(_batch({}, change), IMPRESSIONS)
    assert account.rejected == {reason: 1}
    assert (account.read, account.filtered, account.kept) == (2, 0, {"train": 1})
    assert parts["train"].num_rows == 1


def test_labels_may_be_floats_or_booleans():
    _, floats = clean(_batch({"y": 1.0}, {"y": 0.5}, {"y": math.nan}), IMPRESSIONS)
    assert floats.rejected == {"label outside 0 and 1": 2}
    parts, _ = clean(_batch({"y": True}, {"y": False}), IMPRESSIONS)
    assert parts["train"]["label"].to_pylist() == [1.0, 0.0]


def test_numbers_that_are_not_finite_are_missing():
    parts, _ = clean(_batch({"raw_price": math.inf}, {"raw_price": math.nan}, {"raw_price": 1e300}, {"raw_price": 7.0}),
                     IMPRESSIONS)
    assert parts["train"]["price"].to_pylist() == [None, None, None, 7.0]


@pytest.mark.parametrize(("value", "kind"), [
    (datetime.date(2024, 3, 2), pa.date32()),
    (datetime.datetime(2024, 3, 2, 23, 59, 59), pa.timestamp("s")),
    (datetime.datetime(2024, 3, 2), pa.timestamp("ns")),
    (datetime.datetime(2024, 3, 3, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
     pa.timestamp("us", "Europe/Athens")),
])
def test_windows_of_dates_are_compared_in_utc(value, kind):
    day = Window(start=datetime.date(2024, 3, 2), end=datetime.date(2024, 3, 3))
    log = Log("engagements", _schema(), {"pretrain": day})
    parts, account = clean(_batch({"w": value, "t": value}, w=kind, t=kind), log)
    assert account.kept == {"pretrain": 1}
    assert 1709337600_000000 <= parts["pretrain"]["@time"][0].as_py() < 1709424000_000000


def test_accounts_add_up_in_any_order():
    combine = SumAccounts()
    accounts = [Account(3, Counter(a=1), Counter(x=2), 0, 5, 9), Account(),
                Account(2, Counter(a=1, b=1), Counter(), 0, 1, 4)]
    for order in (accounts, accounts[::-1]):
        total = combine.create_accumulator()
        for account in order:
            total = combine.add_input(total, account)
        assert combine.extract_output(combine.merge_accumulators([total, Account()])) == {
            "read": 5, "kept": {"a": 2, "b": 1}, "rejected": {"x": 2}, "filtered": 0, "low": 1, "high": 9}
