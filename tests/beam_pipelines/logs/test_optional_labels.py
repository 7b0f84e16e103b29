"""Labels that may be missing: NaN in the clean rows, never a guess. Literal rows in, literal rows out."""

import math

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.build_impressions import measure_impressions
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.launching.dataset_info import add_rates
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.logs.duplicates import _KeepFirst
from beam_pipelines.sources.base import RawBatch
from tfrs_pretrain.config import Config, Window
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="w", label="y",
                labels=("bought", "liked"), optional_labels=("y", "bought"))
LABELS = {"label": "y", "bought": "bought", "liked": "liked"}
WINDOWS = {"train": Window(start=0, end=1)}


def _clean(y, bought, liked, optional=SCHEMA.optional_label_columns, **log):
    count = len(y)
    columns = {"u": pa.array([1] * count), "i": pa.array([2] * count), "t": pa.array([5] * count),
               "w": pa.array([0] * count), "y": y, "bought": bought, "liked": liked}
    spec = LogSpec("impressions", "impressions", SCHEMA, WINDOWS, labels=LABELS, optional_labels=optional, **log)
    return clean_batch(RawBatch("f", np.arange(count), pa.RecordBatch.from_pydict(columns)), spec), spec


def test_columns_of_optional_labels_are_those_of_the_records():
    assert SCHEMA.optional_label_columns == ("label", "bought")


def test_null_and_nan_become_one_nan_and_other_values_stay():
    other_nan = np.array([0xFFC00001], np.uint32).view(np.float32)[0]
    cleaned, _ = _clean(pa.array([1, None, 0, None]), pa.array([1, math.nan, other_nan, None], pa.float32()),
                        pa.array([0, 1, 0, 1]))
    part = cleaned.by_split["train"]
    assert str(part["label"].to_pylist()) == "[1.0, nan, 0.0, nan]"
    assert str(part["bought"].to_pylist()) == "[1.0, nan, nan, nan]"
    assert part["liked"].to_pylist() == [0, 1, 0, 1]
    assert [part[name].null_count for name in LABELS] == [0, 0, 0]
    assert set(part["bought"].to_numpy().view(np.uint32)[1:].tolist()) == {0x7FC00000}


def test_texts_may_be_empty():
    cleaned, _ = _clean(pa.array(["1", "", "true"]), pa.array([None, "0", "NaN"]), pa.array(["0", "1", "0"]))
    assert cleaned.account.rejected == {"unparsable y": 1}
    assert str(cleaned.by_split["train"]["bought"].to_pylist()) == "[nan, nan]"


@pytest.mark.parametrize(("bought", "liked", "optional", "reason"), [
    (None, 1, ("label",), "missing bought"), (math.nan, 1, ("label",), "bought outside 0 and 1"),
    (1, None, ("label", "bought"), "missing liked"), (0.5, 1, ("label", "bought"), "bought outside 0 and 1"),
    (math.inf, 1, ("label", "bought"), "bought outside 0 and 1")])
def test_what_is_not_declared_optional_is_rejected_by_name(bought, liked, optional, reason):
    cleaned, _ = _clean(pa.array([1, 1]), pa.array([0, bought], pa.float64()), pa.array([1, liked], pa.int8()),
                        optional)
    assert cleaned.account.rejected == {reason: 1}
    assert cleaned.by_split["train"].num_rows == 1


def test_of_duplicates_a_row_with_a_label_wins():
    cleaned, spec = _clean(pa.array([None, 0, None, 1]), pa.array([1, 1, 1, None]), pa.array([1, 1, 1, 1]),
                           reject_duplicates=True)
    [kept] = [output for output in _KeepFirst(spec).process((0, [("train", cleaned.by_split["train"])]))
              if isinstance(output, tuple)]
    assert str(kept[1]["label"].to_pylist() + kept[1]["bought"].to_pylist()) == "[1.0, nan]"


def test_rows_without_the_main_label_are_not_down_sampled():
    count = 200
    cleaned, _ = _clean(pa.array([None] * count, pa.float32()), pa.array([1] * count), pa.array([1] * count),
                        negative_rates={"train": 0.1})
    assert cleaned.by_split["train"].num_rows == count


def test_rates_are_means_over_the_labels_that_are_present():
    labels = {"label": [1, math.nan, 0, 1], "liked": [1, 0, 0, 0], "bought": [math.nan] * 4}
    table = pa.table({name: pa.array(values, pa.float32()) for name, values in labels.items()}
                     | {"user": [0, 1, 2, 3], "item": [1, 1, 1, 0]})
    measures = measure_impressions(table, schema=SCHEMA)
    assert add_rates({"examples": 4, "shards": [], "measures": measures}) == {
        "examples": 4, "shards": [], "label_rate": 2 / 3, "bought_rate": 0.0, "liked_rate": 0.25,
        "missing_label_share": {"label": 0.25, "bought": 1.0}, "oov_user_share": 0.25, "oov_item_share": 0.25}


@pytest.mark.parametrize("optional", [("other",), ("y", "y"), ("label",)])
def test_optional_labels_name_labels(optional):
    with pytest.raises(ValueError, match=r"must be different names of \['y', 'bought', 'liked'\]"):
        Schema.model_validate(SCHEMA.model_dump() | {"optional_labels": optional})


def test_positives_of_implicit_feedback_have_a_label(planted_config):
    tree = planted_config.resolved()
    tree["schema"]["optional_labels"] = ["clicked"]
    tree["dataset"]["implicit_feedback"] = {}
    with pytest.raises(ValueError, match=r"schema.optional_labels \['clicked'\]: every row"):
        Config.model_validate(tree)
