"""Summary of several logs as Markdown and JSON."""

import json

from tfrs_pretrain.reporting.log_summary import write_log_summary


def log(**changes):
    return {"title": "t", "baseline": "scratch", "seeds": [1, 2], "settings": {"best": {"arm.transfer": "warm_start"}},
            "arms": {"scratch": {"auc": {"mean": 0.7, "low": 0.69, "high": 0.71},
                                 "log_loss": {"mean": 0.5, "low": None, "high": None}},
                     "warm": {"auc": {"mean": None, "low": None, "high": None},
                              "log_loss": {"mean": 0.45, "low": 0.44, "high": 0.46}}},
            "verdicts": {"warm": {"auc": "better", "log_loss": "worse"}},
            "target": {"arm": "warm", "best": "best", "share": 0.8, "loses": True, "gain": {}, "reached": False,
                       "shares": {"auc": 0.523, "log_loss": None}} | changes}


def test_tables_targets_settings_and_what_is_missing(tmp_path):
    logs = {"movies": log(), "news": log(loses=False, reached=True, shares={"auc": None, "log_loss": None}),
            "music": log(loses=False, reached=True), "tiny": log(loses=False, reached=None)}
    summary = {"logs": logs, "failures": {"shop": "no rows"}, "without_data": ["kuairand"]}
    write_log_summary(tmp_path, summary)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    lines = (tmp_path / "summary.md").read_text().splitlines()
    for line in ("| movies | scratch | 0.7000 [0.6900, 0.7100] | 0.5000 | baseline |",
                 "| movies | warm | — | 0.4500 [0.4400, 0.4600] | better, worse |",
                 "warm must not lose to the baseline, and must reach 80% of the gain of best where that gain is "
                 "measurable.",
                 "| movies | yes | 52% | — | no |", "| news | no | — | — | no gain was measurable |",
                 "| music | no | 52% | — | yes |", "| tiny | no | 52% | — | not measurable |",
                 "Chosen on validation for movies: best = arm.transfer: warm_start.", "shop failed: no rows",
                 "kuairand was left out: it needs --data kuairand=FOLDER."):
        assert line in lines


def test_without_a_goal_there_is_no_table_of_it(tmp_path):
    write_log_summary(tmp_path, {"logs": {"movies": log() | {"target": None}}, "failures": {}, "without_data": []})
    assert "loses" not in (tmp_path / "summary.md").read_text()
