"""Requests: impressions that were shown as one ranked list."""

import dataclasses
import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.sources.base import RawBatch
from tfrs_pretrain.config import Config, Window
from tfrs_pretrain.data.dataset import Dataset, impression_columns
from tfrs_pretrain.data.impressions import evaluation_batches, training_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="w", label="y", request="page")
LOG = LogSpec("impressions", "impressions", SCHEMA, {"train": Window(start=0, end=9)}, labels={"label": "y"},
          request="page")


def requests(pages, users, schema=SCHEMA, log=LOG, **columns):
    rows = len(users)
    data = {"u": users, "i": [1] * rows, "t": [5] * rows, "w": [1] * rows, "y": [0] * rows, "page": pages} | columns
    cleaned = clean_batch(RawBatch("log", np.arange(rows), pa.RecordBatch.from_pydict(data), ()), log)
    return cleaned.by_split["train"]["request"].to_pylist(), cleaned.account.rejected


def test_rows_of_one_user_and_page_have_the_same_request():
    found, rejected = requests([7, 7, 8, 7, None], [1, 1, 1, 2, 1])
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert rejected == {"missing request": 1}


def test_a_request_does_not_depend_on_the_type_of_its_column():
    assert requests([7, 8], [1, 1])[0] == requests(["7", "8"], [1, 1])[0] == requests(
        pa.array(["7", "8"]).dictionary_encode(), [1, 1])[0]


def test_the_time_column_can_be_the_request_column():
    log = dataclasses.replace(LOG, schema=SCHEMA.model_copy(update={"request": "t"}), request="t")
    times = [datetime.datetime(2024, 3, day) for day in (1, 1, 2)]
    found, _ = requests([0] * 3, [4, 4, 4], log=log, t=times)
    assert found[0] == found[1] != found[2]


@pytest.fixture(scope="module")
def dataset(planted_logs, tmp_path_factory):
    tree = planted_tree()
    tree["schema"] |= {"request": "day"}
    folder = tmp_path_factory.mktemp("requests") / "dataset"
    build(Config.model_validate(tree), planted_logs, folder)
    return Dataset.open(folder)


def test_records_have_the_requests_of_the_log(dataset, planted_logs):
    frame = pd.read_parquet(planted_logs / "impressions.parquet")
    frame = frame[(frame.day >= 30) & (frame.day < 34)]
    batches = evaluation_batches(dataset, "impressions/test", batch_size=500, columns=["request", "user_id", "label"])
    columns = [{name: values.numpy() for name, values in batch.items()} for batch in batches]
    result = pd.DataFrame({name: np.concatenate([part[name] for part in columns]) for name in columns[0]})
    expected = frame.groupby(["member", "day"]).clicked.agg(["size", "sum"]).reset_index()
    assert sorted(map(tuple, result.groupby("request").agg(
        {"user_id": "first", "label": "size"}).itertuples(index=False))) == sorted(
            (row.member, row.size) for row in expected[["member", "size"]].itertuples(index=False))
    assert result.groupby("request").user_id.nunique().max() == 1
    assert impression_columns(dataset.schema)["request"] == "int64"


def test_training_does_not_read_requests(dataset):
    [batch] = training_batches(dataset, batch_size=64, seed=0, epoch=0).take(1)
    assert "request" not in batch


def test_a_missing_request_column_is_named(planted_logs, tmp_path):
    tree = planted_tree()
    tree["schema"] |= {"request": "page"}
    with pytest.raises(UserError, match="no column 'page' \\(expected string, integer, date or timestamp"):
        build(Config.model_validate(tree), planted_logs, tmp_path / "out")
    impressions = pq.read_table(planted_logs / "impressions.parquet")
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("engagements", "items", "users"):
        (raw / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    pq.write_table(impressions.append_column("page", pa.array(np.ones(impressions.num_rows))),
                   raw / "impressions.parquet")
    with pytest.raises(UserError, match=r"column 'page' .* is double, expected string"):
        build(Config.model_validate(tree), raw, tmp_path / "out")
