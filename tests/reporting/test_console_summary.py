"""The console summary of a study agrees with the report."""

import example_results

from tfrs_pretrain.cli.summary import summarize
from tfrs_pretrain.progress import console


def test_auc_and_log_loss_have_separate_verdicts(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 150)
    results = example_results.results()
    results["comparisons"][0]["log_loss"] |= {"verdict": "no measurable difference", "holds": False}
    results["comparisons"][1]["auc"]["holds"] = False
    summarize(results, tmp_path)
    output = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "AUC better, log loss not measurable" in output
    assert "AUC better (uncorrected), log loss better" in output
