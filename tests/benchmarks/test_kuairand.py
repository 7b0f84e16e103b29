"""The KuaiRand study: every trial is a valid configuration, and no outcome but the click reaches a ranker."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tfrs_pretrain.config import parse_config
from tfrs_pretrain.errors import UserError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import kuairand  # noqa: E402

OUTCOMES = {"play_time_ms", "long_view", "long_watch", "is_like", "is_follow", "is_comment", "is_forward", "is_hate",
            "duration_ms"}


def test_every_trial_is_a_valid_configuration_and_arms_have_equal_budgets():
    tree = yaml.safe_load(kuairand.CONFIG.read_text())
    arms = {**kuairand.single_stage(), **kuairand.two_stage()}
    for name, candidates in arms.items():
        for settings in candidates:
            config = parse_config(tree | {"ranking": {"arms": {name: settings}}, "export": {"arm": name}}, origin=name)
            assert (name in kuairand.two_stage()) == bool(config.ranking.arms[name].transfers)
        assert len(candidates) == len({str(settings) for settings in candidates}) == 8


def test_no_outcome_is_an_input():
    schema = parse_config(yaml.safe_load(kuairand.CONFIG.read_text()), origin="study").schema_
    assert not OUTCOMES & {feature.source_column for feature in schema.features}
    assert not schema.labels


def test_logs_hold_watched_history_and_clicks(tmp_path):
    logs = {
        "history": pd.DataFrame({"user_id": [1, 1, 2], "item_id": [5, 6, 5], "timestamp": [10, 11, 12],
                                 "long_watch": [1, 0, 1], "pos_from_end": [1, 0, 0]}),
        "impressions": pd.DataFrame({"user_id": [1], "item_id": [6], "timestamp": [99], "date": [20220425],
                                     "hourmin": [2310], "tab": [1], "is_click": [1], "play_time_ms": [7],
                                     "long_watch": [1]}),
        "items": pd.DataFrame({"item_id": [5, 6], "video_duration": [1000.0, None], "music_type": [9.0, None]}),
        "users": pd.DataFrame({"user_id": [1, 2], "onehot_feat4": [1.0, None]}),
    }
    with pytest.raises(UserError, match=r"expected history, impressions, items, users as \.parquet files, found no"):
        kuairand.write_logs(tmp_path, tmp_path / "logs")
    for name, table in logs.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    kuairand.write_logs(tmp_path, tmp_path / "logs")
    made = {name: pd.read_parquet(tmp_path / "logs" / f"{name}.parquet")
            for name in ("engagements", "impressions", "items", "users")}
    assert made["engagements"].to_dict("list") == {
        "user_id": [1, 2], "item_id": [5, 5], "timestamp": [10, 12], "date": [kuairand.BEFORE] * 2}
    assert made["impressions"].hour.tolist() == [23]
    assert not OUTCOMES & set(made["impressions"])
    np.testing.assert_allclose(made["items"].log_duration, [np.log(2), np.nan], rtol=1e-6)
    assert made["items"].music_type.tolist() == [9, -1]
    assert made["users"].onehot_feat4.tolist() == [1, -1]
