"""Batches of rejected rows."""

import datetime

import numpy as np
import pyarrow as pa

from beam_pipelines.logs.rejected_rows import REJECTED_SCHEMA, rejected_batch, select_rejected, to_json_lines
from beam_pipelines.sources.base import MalformedRow, RawBatch


def test_rows_with_a_reason_and_malformed_rows_are_selected():
    raw = RawBatch("f", np.array([4, 5, -1]), pa.RecordBatch.from_pydict({"x": [1, 2, None]}),
                   (MalformedRow(9, "broken", "1,2"),))
    batch = select_rejected(raw, np.array([None, "late", "missing x"], object))
    assert batch.schema == REJECTED_SCHEMA
    assert batch.to_pydict() == {"reason": ["late", "missing x", "broken"], "file": ["f"] * 3,
                                 "position": [5, None, 9], "values": ['{"x": 2}', '{"x": null}', "1,2"]}


def test_good_rows_give_an_empty_batch():
    raw = RawBatch("f", np.array([1]), pa.RecordBatch.from_pydict({"x": [1]}))
    assert select_rejected(raw, np.array([None], object)).num_rows == 0


def test_position_zero_is_a_position():
    assert rejected_batch(["r", "r"], ["a", "b"], [0, -1], ["", ""])["position"].to_pylist() == [0, None]


def test_dates_become_text_and_letters_are_not_escaped():
    assert to_json_lines([{"d": datetime.date(2024, 3, 2), "é": b"x"}]) == ['{"d": "2024-03-02", "é": "b\'x\'"}']


def test_long_values_are_cut_off():
    values = rejected_batch(["r", "r"], "a", [0, 1], ["é" * 65536, "é" * 65537])["values"].to_pylist()
    assert values == ["é" * 65536, "é" * 65536 + "…"]
