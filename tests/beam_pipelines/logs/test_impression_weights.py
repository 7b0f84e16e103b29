"""Weights of impressions: literal rows in, literal weights and reasons out."""

import math

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.build_impressions import measure_impressions
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.launching.dataset_info import add_rates
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.sources.base import RawBatch
from tfrs_pretrain.config import Config, Window
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="w", label="y",
                impression_weight="minutes", propensity="shown")


def _clean(minutes, shown, weight="minutes", propensity="shown", max_weight=None):
    count = len(minutes)
    columns = {"u": [1] * count, "i": [2] * count, "t": [5] * count, "w": [0] * count, "y": [1] * count,
               "minutes": minutes, "shown": shown}
    spec = LogSpec("impressions", "impressions", SCHEMA, {"train": Window(start=0, end=1)}, labels={"label": "y"},
                   weight=weight, propensity=propensity, max_weight=max_weight)
    return clean_batch(RawBatch("f", np.arange(count), pa.RecordBatch.from_pydict(columns)), spec)


@pytest.mark.parametrize(("names", "expected"), [
    ({}, [2.0, 0.0, 8.0, 1.5]), ({"max_weight": 1.75}, [1.75, 0.0, 1.75, 1.5]),
    ({"propensity": None}, [1.0, 0.0, 2.0, 1.5]), ({"weight": None}, [2.0, 10.0, 4.0, 1.0]),
    ({"weight": None, "max_weight": 5.0}, [2.0, 5.0, 4.0, 1.0])])
def test_the_weight_is_divided_by_the_propensity_and_clipped(names, expected):
    part = _clean([1.0, 0.0, 2.0, 1.5], [0.5, 0.1, 0.25, 1.0], **names).by_split["train"]
    assert part["weight"].type == pa.float32()
    assert part["weight"].to_pylist() == expected


@pytest.mark.parametrize("missing", [pa.array([1, 2]), pa.array(["1", "2"]), pa.array([True, True])])
def test_weights_may_be_integers_texts_and_booleans(missing):
    part = _clean(missing, pa.array([1, 1])).by_split["train"]
    assert part["weight"].to_pylist() == pa.array(missing).cast(pa.float32()).to_pylist()


@pytest.mark.parametrize(("minutes", "shown", "reason"), [
    (None, 0.5, "missing weight"), (-1.0, 0.5, "weight negative or not finite"),
    (math.nan, 0.5, "weight negative or not finite"), (math.inf, 0.5, "weight negative or not finite"),
    (1.0, None, "missing propensity"), (1.0, 0.0, "propensity outside 0 and 1"),
    (1.0, 1.01, "propensity outside 0 and 1"), (1.0, -0.5, "propensity outside 0 and 1"),
    (1.0, math.nan, "propensity outside 0 and 1"), (1e300, 1e-30, "weight too large"),
    (1e39, 1.0, "weight too large")])
def test_a_bad_weight_or_propensity_rejects_its_row(minutes, shown, reason):
    cleaned = _clean([1.0, minutes], [0.5, shown])
    assert cleaned.account.rejected == {reason: 1}
    assert cleaned.by_split["train"]["weight"].to_pylist() == [2.0]


def test_a_limit_makes_large_weights_usable_but_no_bad_ones():
    cleaned = _clean([1e300, math.inf], [1e-30, 1.0], max_weight=7.0)
    assert cleaned.by_split["train"]["weight"].to_pylist() == [7.0]
    assert cleaned.account.rejected == {"weight negative or not finite": 1}


@pytest.mark.parametrize(("weights", "mean"), [([1, 1, 1, 1, 1, 1, 1], 1.0), ([0.1] * 10, float(np.float32(0.1))),
                                               ([3e38, 1e-30, 2, 0], 7.5e37)])
def test_the_mean_is_that_of_the_records(weights, mean):
    table = pa.table({"label": pa.array([1] * len(weights), pa.float32()), "weight": pa.array(weights, pa.float32()),
                      "user": [1] * len(weights), "item": [1] * len(weights)})
    measures = measure_impressions(table, schema=SCHEMA)
    found = add_rates({"examples": len(weights), "shards": [], "measures": measures})["weight_mean"]
    assert found == (1.0 if mean == 1.0 else pytest.approx(mean, rel=1e-6))


@pytest.mark.parametrize(("schema", "dataset", "message"), [
    ({"propensity": "p"}, {"implicit_feedback": {}}, "schema.propensity 'p': negatives that are sampled"),
    ({}, {"max_weight": 2.0}, "dataset.max_weight limits schema.impression_weight"),
    ({"propensity": "p"}, {"max_weight": 0.0}, "greater than 0"),
    ({"impression_weight": "w", "labels": ["weight"]}, {}, r"repeated: \['weight'\]")])
def test_settings_without_a_meaning_are_refused(schema, dataset, message, planted_config):
    tree = planted_config.resolved()
    tree["schema"] |= schema
    tree["dataset"] |= dataset
    with pytest.raises(ValueError, match=message):
        Config.model_validate(tree)
