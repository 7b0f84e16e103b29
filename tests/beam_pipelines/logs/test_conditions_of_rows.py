"""Rows selected and labels computed by conditions: literal rows and accounts."""

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.sources.base import RawBatch
from tfrs_pretrain.config import Condition, Window
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="t", label="liked")


def _clean(rows, types=None, **options):
    log = LogSpec("impressions", "impressions", SCHEMA, {"train": Window(start=0, end=100)}, **options)
    columns = {name: pa.array([row[place] for row in rows], (types or {}).get(name))
               for place, name in enumerate(("u", "i", "t", "rating", "event"))}
    batch = pa.RecordBatch.from_pydict(columns).select(log.columns)
    return clean_batch(RawBatch("f", np.arange(len(rows)), batch), log)


def _liked(text="rating >= 4"):
    return {"labels": {"label": "liked"}, "computed_labels": {"liked": Condition.parse(text)}}


@pytest.mark.parametrize(("text", "labels"), [
    ("rating >= 4", [1, 0, 1]), ("rating > 4", [1, 0, 0]), ("rating < 4", [0, 1, 0]), ("rating <= 4", [0, 1, 1]),
    ("rating == 4", [0, 0, 1]), ("rating != 4", [1, 1, 0]), ("event == buy", [1, 0, 0]), ("event != buy", [0, 1, 1]),
])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_label_is_1_where_its_condition_is_true(text, labels, as_text):
    ratings = ["4.5", "3", "4"] if as_text else [4.5, 3.0, 4.0]
    cleaned = _clean([(1, 2, 3, rating, event) for rating, event in zip(ratings, ("buy", "view", "cart"), strict=True)],
                     **_liked(text))
    assert cleaned.by_split["train"]["label"].to_pylist() == labels


def test_rows_without_a_number_have_no_label():
    cleaned = _clean([(1, 2, 3, "4", ""), (1, 2, 3, None, ""), (1, 2, 3, "five", ""), (1, 2, 3, "NaN", "")], **_liked())
    assert cleaned.by_split["train"]["label"].to_pylist() == [1]
    assert sorted(cleaned.account.rejected.items()) == [("missing label", 2), ("unparsable rating", 1)]


def test_rows_that_where_excludes_are_counted_and_never_rejected():
    """A row of another event may lack what this log needs."""
    rows = [(1, 2, 3, 5.0, "buy"), (None, 2, 3, 5.0, "view"), (None, 2, 3, 5.0, "buy"), (1, 2, 3, 5.0, None)]
    cleaned = _clean(rows, where=Condition.parse("event == buy"))
    assert cleaned.account.kept == {"train": 1}
    assert cleaned.account.filtered == {"not selected by where": 2}
    assert cleaned.account.rejected == {"missing user id": 1}


def test_a_text_that_where_cannot_compare_is_rejected():
    cleaned = _clean([(1, 2, 3, "4", ""), (1, 2, 3, "3.5", ""), (1, 2, 3, "five", "")],
                     where=Condition.parse("rating >= 4"))
    assert cleaned.account.kept == {"train": 1}
    assert cleaned.account.filtered == {"not selected by where": 1}
    assert cleaned.account.rejected == {"unparsable rating": 1}
