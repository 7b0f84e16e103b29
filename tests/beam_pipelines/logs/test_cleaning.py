"""Cleaning of literal raw rows: literal clean rows and accounts."""

import dataclasses
import datetime
import math
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.accounting import Account, SumAccounts
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.logs.text_values import parse
from beam_pipelines.sources.base import MalformedRow, RawBatch
from tfrs_pretrain.config import Window
from tfrs_pretrain.features.categorical import CategoricalFeature
from tfrs_pretrain.features.multi_valued import MultiValuedFeature
from tfrs_pretrain.features.numeric import NumericFeature
from tfrs_pretrain.schema import IdSpace, Schema

SURFACE = CategoricalFeature(name="surface", source="impressions", kind="categorical", dtype="string")
PRICE = NumericFeature(name="price", source="impressions", column="raw_price", kind="numeric", dtype="float32")
COLUMNS = frozenset({"surface", "w", "u", "raw_price", "t", "y", "i"})


def _schema(user: str = "int64", item: str = "string") -> Schema:
    return Schema(user=IdSpace(column="u", dtype=user), item=IdSpace(column="i", dtype=item), time="t", window="w",
                  label="y", features=(SURFACE, PRICE))


IMPRESSIONS = LogSpec("impressions", "impressions", _schema(),
                  {"train": Window(start=3, end=5), "test": Window(start=5, end=7)}, labels={"label": "y"},
                  context_features=(SURFACE, PRICE))
OUTSIDE = "outside every window"
GOOD = {"u": 1, "i": "a", "t": 10, "w": 3, "y": 1, "surface": "home", "raw_price": 2.5}


def _batch(*changes: dict, **types: pa.DataType) -> pa.RecordBatch:
    rows = [GOOD | change for change in changes]
    return pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows], types.get(name)) for name in GOOD})


def _raw(rows: pa.RecordBatch, *malformed: MalformedRow) -> RawBatch:
    return RawBatch("log.csv", np.arange(rows.num_rows) + 2, rows, malformed)


def clean(batch: pa.RecordBatch, log: LogSpec):
    cleaned = clean_batch(_raw(batch), log)
    return cleaned.by_split, cleaned.account


def test_rows_are_split_by_window_and_columns_get_their_types():
    parts, account = clean(_batch({}, {"w": 6, "y": 0, "surface": None, "raw_price": None}, {"w": 4, "u": 0}, {"w": 7},
                                  {"w": 2}, u=pa.int16(), raw_price=pa.float64()), IMPRESSIONS)
    assert {split: part.to_pylist() for split, part in parts.items()} == {
        "train": [{"user_id": 1, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": 2.5},
                  {"user_id": 0, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": 2.5}],
        "test": [{"user_id": 1, "item_id": "a", "@time": 10, "label": 0.0, "surface": None, "price": None}],
    }
    assert parts["train"].schema.field("user_id").type == pa.int64()
    assert parts["train"].schema.field("label").type == pa.float32()
    assert account == Account(5, Counter(train=2, test=1), Counter(), Counter({OUTSIDE: 2}), 2, 7, COLUMNS,
                              Counter(integer=5), 10, 10, Counter(integer=5))


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
def test_a_bad_row_is_rejected_once_for_its_first_reason(change, reason):
    parts, account = clean(_batch({}, change), IMPRESSIONS)
    assert account.rejected == {reason: 1}
    assert (account.read, account.filtered, account.kept) == (2, {}, {"train": 1})
    assert parts["train"].num_rows == 1


def test_labels_can_be_floats_or_booleans():
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
    log = LogSpec("engagements", "engagements", _schema(), {"pretrain": day})
    parts, account = clean(_batch({"w": value, "t": value}, w=kind, t=kind), log)
    assert account.kept == {"pretrain": 1}
    assert 1709337600_000000 <= parts["pretrain"]["@time"][0].as_py() < 1709424000_000000


def test_accounts_add_up_in_any_order():
    combine = SumAccounts()
    # The last corrects the count of a row that others kept, as duplicates do.
    accounts = [Account(3, Counter(a=1), Counter(x=2), Counter(z=1), 5, 9, frozenset("q"), Counter(date=3), 7, 8,
                        Counter(integer=3)),
                Account(),
                Account(2, Counter(a=1, b=2), Counter(), Counter(), 1, 4, frozenset("pq"),
                        Counter(date=1, integer=1), 2, 3, Counter(date=2)),
                Account(0, Counter(b=-1), Counter(y=1), Counter())]
    for order in (accounts, accounts[::-1]):
        total = combine.create_accumulator()
        for account in order:
            total = combine.add_input(total, account)
        assert combine.extract_output(combine.merge_accumulators([total, Account()])) == {
            "read": 5, "kept": {"a": 2, "b": 1}, "rejected": {"x": 2, "y": 1}, "filtered": {"z": 1}, "low": 1,
            "high": 9, "present": ["p", "q"], "times": {"date": 4, "integer": 1}, "first": 2, "last": 8,
            "windows": {"date": 2, "integer": 3}}


def test_rejected_rows_have_reason_position_and_values():
    batch = _batch({}, {"u": None, "i": "é"}, {"y": 7}, u=pa.int64())
    rejected = clean_batch(_raw(batch, MalformedRow(9, "wrong number of fields", "1,2")), IMPRESSIONS).rejected
    assert rejected.to_pylist() == [
        {"reason": "missing user id", "file": "log.csv", "position": 3, "values":
            '{"u": null, "i": "é", "t": 10, "w": 3, "y": 1, "surface": "home", "raw_price": 2.5}'},
        {"reason": "label outside 0 and 1", "file": "log.csv", "position": 4, "values":
            '{"u": 1, "i": "a", "t": 10, "w": 3, "y": 7, "surface": "home", "raw_price": 2.5}'},
        {"reason": "wrong number of fields", "file": "log.csv", "position": 9, "values": "1,2"}]


TEXT = {"u": "1", "i": "a", "t": "10", "w": "3", "y": "1", "surface": "home", "raw_price": "2.5"}
TEXT_LOG = dataclasses.replace(IMPRESSIONS, time="integer")


def _text(*changes: dict) -> pa.RecordBatch:
    rows = [TEXT | change for change in changes]
    return pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows], pa.string()) for name in TEXT})


def test_text_is_parsed_as_the_schema_declares():
    parts, account = clean(_text({}, {"y": "false", "raw_price": None, "surface": None}, {"y": "0.0", "w": "4"},
                                 {"raw_price": "nan"}), TEXT_LOG)
    assert parts["train"].to_pylist() == [
        {"user_id": 1, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": 2.5},
        {"user_id": 1, "item_id": "a", "@time": 10, "label": 0.0, "surface": None, "price": None},
        {"user_id": 1, "item_id": "a", "@time": 10, "label": 0.0, "surface": "home", "price": 2.5},
        {"user_id": 1, "item_id": "a", "@time": 10, "label": 1.0, "surface": "home", "price": None}]
    assert account == Account(4, Counter(train=4), Counter(), Counter(), 3, 4, COLUMNS, Counter(integer=4), 10, 10,
                              Counter(integer=4))


@pytest.mark.parametrize(("change", "reason"), [
    ({"u": "x"}, "unparsable user id"),
    ({"u": "1.5"}, "unparsable user id"),
    ({"u": "0x1F"}, "unparsable user id"),
    ({"u": "99999999999999999999"}, "unparsable user id"),
    ({"u": "9223372036854775808"}, "unparsable user id"),
    ({"u": None}, "missing user id"),
    ({"u": "-7"}, "negative user id"),
    ({"t": "yesterday"}, "unparsable time"),
    ({"w": "3rd"}, "unparsable window"),
    ({"y": "maybe"}, "unparsable y"),
    ({"y": "2"}, "label outside 0 and 1"),
    ({"raw_price": "2,5"}, "unparsable raw_price"),
])
def test_a_row_with_a_bad_text_value_is_rejected(change, reason):
    parts, account = clean(_text({}, change), TEXT_LOG)
    assert account.rejected == {reason: 1}
    assert parts["train"].num_rows == 1


TIMES = {"2024-03-02": 1709337600_000000, "2024-03-02T00:00:01": 1709337601_000000,
         "2024-03-02 00:00:00.000001": 1709337600_000001, "2024-03-02T02:00:00+02:00": 1709337600_000000,
         "2024-03-02T00:00:00Z": 1709337600_000000, "2024-03-02 00:00:00 UTC": 1709337600_000000}


@pytest.mark.parametrize("text", TIMES)
def test_times_in_text_are_iso_8601(text):
    parts, _ = clean(_text({"t": text}, {"t": "2024-03-02T00:00"}), IMPRESSIONS)
    assert parts["train"]["@time"].to_pylist() == [TIMES[text], 1709337600_000000]


@pytest.mark.parametrize("text", ["2024-02-30", "2024-03-02T25:00", "20240302", "1709337600", "3/2/2024", "now"])
def test_other_times_are_rejected(text):
    _, account = clean(_text({"t": text}), IMPRESSIONS)
    assert account.rejected == {"unparsable time": 1}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["1", "-5", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
                                 "x", "", "007", " 1", "1e3", "0x10", None]) | st.integers().map(str)))
def test_parsing_an_integer_does_not_depend_on_other_rows(texts):
    column, bad = parse(pa.array(texts, pa.string()), "int64")
    for place, text in enumerate(texts):
        fits = text is not None and re.fullmatch("-?[0-9]{1,19}", text) and -2**63 <= int(text) < 2**63
        assert column[place].as_py() == (int(text) if fits else None)
        assert bad[place] == (text is not None and not fits)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "u": st.sampled_from([None, -3]), "i": st.sampled_from([None, ""]), "t": st.none(), "w": st.integers(0, 9),
    "y": st.sampled_from([None, 0, 2])}), max_size=12))
def test_every_row_is_kept_rejected_or_filtered(changes):
    batch = _batch(*changes, u=pa.int64(), i=pa.string(), t=pa.int64(), w=pa.int64(), y=pa.int64(),
                   surface=pa.string(), raw_price=pa.float64())
    cleaned = clean_batch(_raw(batch), IMPRESSIONS)
    account = cleaned.account
    assert account.read == len(changes)
    assert account.read == account.kept.total() + account.rejected.total() + account.filtered.total()
    assert cleaned.rejected.num_rows == account.rejected.total()
    assert {split: part.num_rows for split, part in cleaned.by_split.items()} == account.kept
    good = [GOOD | change for change in changes if None not in change.values() and change.get("u") != -3
            and change.get("i") != "" and change.get("y") != 2]
    assert account.kept == Counter("train" if row["w"] < 5 else "test" for row in good if 3 <= row["w"] < 7)
    assert account.filtered == Counter({OUTSIDE: sum(not 3 <= row["w"] < 7 for row in good)} if any(
        not 3 <= row["w"] < 7 for row in good) else {})


@pytest.mark.parametrize(("change", "reason"), [({"i": "é" * 5}, "oversized item id"),
                                                ({"surface": "é" * 5}, "oversized surface")])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_ids_and_values_of_too_many_bytes_are_rejected(change, reason, kind):
    """The limit is in bytes: "é" has two."""
    log = dataclasses.replace(IMPRESSIONS, max_id_bytes=9)
    _, account = clean(_batch({}, {"i": "é" * 4 + "x", "surface": None}, change, i=kind, surface=kind), log)
    assert (account.kept, account.rejected) == ({"train": 2}, {reason: 1})


@pytest.mark.parametrize(("kind", "value"), [(pa.list_(pa.string()), ["a", "xxxx"]), (pa.string(), '["a", "xxxx"]')])
def test_a_list_with_a_value_of_too_many_bytes_is_rejected(kind, value):
    tags = MultiValuedFeature(name="surface", source="impressions", kind="multi_valued", dtype="string",
                              max_values=3)
    log = dataclasses.replace(IMPRESSIONS, context_features=(tags, PRICE), max_id_bytes=3)
    empty = [] if kind != pa.string() else "[]"
    _, account = clean(_batch({"surface": empty}, {"surface": None}, {"surface": value}, surface=kind), log)
    assert (account.kept, account.rejected) == ({"train": 2}, {"oversized surface": 1})
