"""Golden impressions, from a literal table."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.transforms.golden import write_golden
from tfrs_pretrain.config import Config


def test_missing_values_are_written_as_the_models_receive_them(tmp_path):
    tree = planted_config()
    tree["schema"]["history"] = {"length": 2}
    table = pa.table({
        "@hash": pa.array([3, 3], pa.uint64()), "user_id": [7, 8], "item_id": ["a", "b"], "label": [1.0, 0.0],
        "surface": ["home", None], "dwell": pa.array([0.5, None], pa.float32()), "topic": [4, None],
        "quality": pa.array([None, 1.5], pa.float32()), "country": [None, "é"], "history": [["b", "a"], []]})
    path = write_golden(table, Job(Config.model_validate(tree), "raw", str(tmp_path)))
    assert path == f"{tmp_path}/golden.parquet"
    golden = pq.read_table(path)
    assert golden.column_names == ["key", "user_id", "item_id", "surface", "dwell", "topic", "quality", "country",
                                   "history"]
    assert golden["key"].type == pa.int64()
    assert len(set(golden["key"].to_pylist())) == 2
    first, second = golden.drop_columns(["key", "dwell", "quality"]).to_pylist()
    assert first == {"user_id": 7, "item_id": "a", "surface": "home", "topic": 4, "country": "", "history": ["b", "a"]}
    assert second == {"user_id": 8, "item_id": "b", "surface": "", "topic": -1, "country": "é", "history": []}
    assert [golden[name][place].as_py() for name, place in (("dwell", 0), ("quality", 1))] == [0.5, 1.5]
    assert all(math.isnan(golden[name][place].as_py()) for name, place in (("dwell", 1), ("quality", 0)))


def test_without_a_history_there_is_no_such_column(tmp_path):
    table = pa.table({
        "@hash": pa.array([3], pa.uint64()), "user_id": [7], "item_id": ["a"], "surface": ["home"],
        "dwell": pa.array([0.5], pa.float32()), "topic": [4], "quality": pa.array([1.0], pa.float32()),
        "country": ["x"]})
    write_golden(table, Job(Config.model_validate(planted_config()), "raw", str(tmp_path)))
    assert "history" not in pq.read_schema(tmp_path / "golden.parquet").names
