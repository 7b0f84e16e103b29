"""Conversion of KuaiRand-Pure: the click is the only outcome of an impression that is kept."""

import json

import numpy as np
import pandas as pd
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.logs.kuairand import BEFORE, write_logs


def test_logs_contain_long_watches_and_clicks(tmp_path):
    logs = {
        "history": pd.DataFrame({"user_id": [1, 1, 2], "item_id": [5, 6, 5], "timestamp": [10, 11, 12],
                                 "long_watch": [1, 0, 1], "pos_from_end": [1, 0, 0]}),
        "impressions": pd.DataFrame({"user_id": [1], "item_id": [6], "timestamp": [99], "date": [20220425],
                                     "hourmin": [2310], "tab": [1], "is_click": [1], "play_time_ms": [7],
                                     "long_watch": [1]}),
        "items": pd.DataFrame({"item_id": [5, 6], "video_duration": [1000.0, None], "music_type": [9.0, None]}),
        "users": pd.DataFrame({"user_id": [1, 2], "onehot_feat4": [1.0, None]}),
    }
    with pytest.raises(UserError, match=r"expected history.parquet, .*, users.parquet, but history.parquet is missing"):
        write_logs(tmp_path, tmp_path / "logs")
    for name, table in logs.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    write_logs(tmp_path, tmp_path / "logs")
    written = {name: pd.read_parquet(tmp_path / "logs" / f"{name}.parquet")
            for name in ("engagements", "impressions", "items", "users")}
    assert written["engagements"].to_dict("list") == {
        "user_id": [1, 2], "item_id": [5, 5], "timestamp": [10, 12], "date": [BEFORE] * 2}
    assert written["impressions"].to_dict("list") == {
        "user_id": [1], "item_id": [6], "timestamp": [99], "date": [20220425], "tab": [1], "is_click": [1],
        "hour": [23]}
    np.testing.assert_allclose(written["items"].log_duration, [np.log(2), np.nan], rtol=1e-6)
    assert written["items"].music_type.tolist() == [9, -1]
    assert written["users"].onehot_feat4.tolist() == [1, -1]
    write_logs(tmp_path, tmp_path / "continued", continued=True)
    continued, days = (pd.read_parquet(tmp_path / "continued" / f"{name}.parquet") for name in (
        "engagements", "impressions"))
    assert continued.to_dict("list") == {"user_id": [1, 2, 1], "item_id": [5, 5, 6], "timestamp": [10, 12, 99],
                                         "date": [BEFORE, BEFORE, 20220425], "day": [23, 23, 24]}
    assert days.drop(columns="day").equals(written["impressions"])
    assert days.day.tolist() == [24]
    manifest = json.loads((tmp_path / "logs" / "manifest.json").read_text())
    assert manifest["rows"] == {"engagements": 2, "impressions": 1, "items": 2, "users": 2}
