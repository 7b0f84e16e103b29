"""The end of a study on the console says what the report says."""

import made_results

from tfrs_pretrain.cli.summary import summarize
from tfrs_pretrain.progress import console


def test_each_metric_has_its_own_verdict(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 150)
    results = made_results.results()
    results["comparisons"][0]["log_loss"] |= {"verdict": "no measurable difference", "holds": False}
    results["comparisons"][1]["auc"]["holds"] = False
    summarize(results, tmp_path)
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "AUC better, log loss not measurable" in said
    assert "AUC better (uncorrected), log loss better" in said
