"""Downsampling of negatives against plain Python integers."""

import naive_hashing as naive
import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.sources import RawBatch
from tfrs_pretrain.config import Window
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="w", label="y")
ROWS = [(user, item, 5, split, int(user == 3)) for user in range(8) for item in range(8) for split in (0, 1)]


def _log(rate: float) -> LogSpec:
    windows = {"train": Window(start=0, end=1), "test": Window(start=1, end=2)}
    return LogSpec("impressions", "impressions", SCHEMA, windows, labels={"label": "y"}, negative_rates={"train": rate})


def _clean(rows: list[tuple], rate: float):
    columns = dict(zip("uitwy", map(list, zip(*rows, strict=True)), strict=True))
    return clean_batch(RawBatch("f", np.arange(len(rows)), pa.RecordBatch.from_pydict(columns)), _log(rate))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_negatives_of_the_training_window_are_selected_by_a_salted_hash(rate):
    cleaned = _clean(ROWS, rate)
    expected = [(user, item) for user, item, time, split, label in ROWS if split == 0 and (
        label or naive.fraction(naive.mix((naive.event(user, item, time) + 0x5A3D) & naive.MASK)) < rate)]
    train, test = (cleaned.by_split[split] for split in ("train", "test"))
    assert list(zip(train["user_id"].to_pylist(), train["item_id"].to_pylist(), strict=True)) == expected
    assert train["label"].to_pylist().count(1.0) == 8
    assert test.num_rows == 64
    assert cleaned.account.filtered == {"negative down-sampling": 64 - len(expected)}


def test_a_selected_row_does_not_depend_on_its_batch():
    whole = _clean(ROWS, 0.5).by_split["train"].to_pylist()
    parts = [_clean(ROWS[start:start + 7], 0.5).by_split.get("train") for start in range(0, len(ROWS), 7)]
    assert [row for part in parts if part is not None for row in part.to_pylist()] == whole
