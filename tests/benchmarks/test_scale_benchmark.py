"""Planted logs of any size, and the arithmetic of the growth of a stage's cost."""

import planted_log
import pyarrow.parquet as pq
import pytest
import scale
import scale_stages

from tfrs_pretrain.config import Config


def test_logs_have_the_rows_users_items_and_days_of_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(planted_log, "CHUNK", 4096)
    monkeypatch.setattr(planted_log, "FILE_CHUNKS", 2)
    planted_log.write(tmp_path, 20_000)
    assert len(list((tmp_path / "engagements").iterdir())) == 3
    logs = {name: pq.read_table(tmp_path / name) for name in ("engagements", "impressions", "items.parquet")}
    assert [table.num_rows for table in logs.values()] == [20_000, 2000, 200]
    days = {name: (min(logs[name]["day"].to_pylist()), max(logs[name]["day"].to_pylist())) for name in list(logs)[:2]}
    assert days == {"engagements": (0, 19), "impressions": (20, 33)}
    assert logs["engagements"]["time"].to_pylist() == sorted(logs["engagements"]["time"].to_pylist())
    assert len(set(logs["engagements"]["user"].to_pylist())) == pytest.approx(2000, rel=.01)
    items = set(logs["items.parquet"]["item"].to_pylist())
    assert set(logs["engagements"]["item"].to_pylist()) | set(logs["impressions"]["item"].to_pylist()) <= items


def test_the_configuration_of_the_logs_is_valid():
    config = Config.model_validate(planted_log.config())
    assert config.pretraining.dim == config.ranking.id_dim == 16


def test_an_epoch_costs_the_median_step_of_the_calls_after_the_first():
    calls = [(32, 100.0, 90.0), (10, 1.0, 2.0), (10, 2.0, 4.0), (5, 50.0, 60.0)]
    assert scale_stages.epoch(calls, 1000, 64) == {
        "rows": 64_000, "seconds": 200.0, "cpu_seconds": 400.0, "steps": 1000, "measured_steps": 25}


def test_growth_is_the_largest_ratio_of_the_cost_of_a_row():
    def figures(rows: int, cpu: float) -> dict[str, float]:
        return {"rows": rows, "cpu_seconds": cpu, "seconds": 1.0, "peak_bytes": 500.0}

    stages = {"dataset": {10: figures(10, 5.0), 1000: figures(1000, 300.0), 100: figures(100, 40.0)},
              "load": {10: figures(10, 1.0)}}
    assert scale.ratios(stages["dataset"]) == pytest.approx([.8, .75])
    assert scale.summary(stages) == {"dataset_cost_growth": pytest.approx(.8), "dataset_peak_bytes_per_row": .5,
                                     "dataset_peak_bytes": 500.0}
