"""Datasets of two logs that store their times differently: no history has the future, or the job refuses."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from planted import planted_config

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError


@pytest.fixture
def build_with(planted_logs, tmp_path):
    """Builds a dataset with converted times; the arguments are ``convert(column of timestamps)`` of each log."""
    for name in ("items", "users"):
        (tmp_path / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())

    def run(engagements, impressions, /, **sources) -> Dataset:
        for name, convert in (("engagements", engagements), ("impressions", impressions)):
            table = pq.read_table(planted_logs / f"{name}.parquet")
            place = table.schema.get_field_index("ts")
            pq.write_table(table.set_column(place, "ts", convert(table["ts"])), tmp_path / f"{name}.parquet")
        tree = planted_config()
        tree["schema"] |= {"history": {"length": 50}}
        tree["dataset"]["sources"] = {name: {"path": f"{name}.parquet"} | keys for name, keys in sources.items()}
        build(Config.model_validate(tree), tmp_path, tmp_path / "out")
        return Dataset.open(tmp_path / "out")
    return run


def _to_seconds(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return times.cast(pa.timestamp("s"), safe=False).cast(pa.int64())


def _to_milliseconds(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return times.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())


def _num_past(planted_logs, past) -> int:
    """Returns the number of engagements in all histories of the train window, with a loop."""
    engagements, impressions = (pq.read_table(planted_logs / f"{name}.parquet").to_pandas()
                                for name in ("engagements", "impressions"))
    by_user = {user: group.ts.to_numpy() for user, group in engagements.groupby("member")}
    shown = impressions[(impressions.day >= 20) & (impressions.day < 28)]
    return sum(min(50, int(past(by_user[user], time).sum())) if user in by_user else 0
               for user, time in zip(shown.member, shown.ts.to_numpy(), strict=True))


def _num_in_histories(dataset: Dataset) -> int:
    records = tf.data.TFRecordDataset(dataset.files("impressions/train"))
    parsed = tf.io.parse_example(list(records.as_numpy_iterator()), {"history": tf.io.RaggedFeature(tf.int64)})
    return int(tf.size(parsed["history"].flat_values))


def test_engagements_of_dates_are_in_the_histories_of_later_days(build_with, planted_logs):
    dataset = build_with(lambda times: times.cast(pa.date32(), safe=False), lambda times: times)
    expected = _num_past(planted_logs, lambda times, shown: times.astype("M8[D]") < np.datetime64(shown, "D"))
    assert _num_in_histories(dataset) == expected > 0


def test_declared_units_and_zones_give_the_histories_of_instants(build_with, planted_logs):
    """Engagements in seconds since 1970, impressions in local time of Tokyo."""
    dataset = build_with(_to_seconds, lambda times: pc.add(times, pa.scalar(9 * 3600 * 10**6, pa.duration("us"))),
                         engagements={"time_unit": "s"}, impressions={"time_zone": "Asia/Tokyo"})
    expected = _num_past(planted_logs, lambda times, shown: times.astype("M8[s]") < np.datetime64(shown, "s"))
    assert _num_in_histories(dataset) == expected > 0
    counts = json.loads((dataset.folder / "dataset_info.json").read_text())["counts"]
    assert not counts["engagements"]["rejected"]


def test_seconds_beside_milliseconds_are_refused(build_with):
    with pytest.raises(UserError, match=r"epoch numbers of several units: .* in s in engagements"):
        build_with(_to_seconds, _to_milliseconds)
