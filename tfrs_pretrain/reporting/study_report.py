"""Evaluate a finished study and write its results and report."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.artifact_names import RESULTS
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.report import write_report
from tfrs_pretrain.results.collect import as_text, collect
from tfrs_pretrain.study import Study


def write_study(study: Study) -> dict[str, Any]:
    """Judges a study, writes ``results.json``, ``report.html`` and ``report.md`` into its folder, returns the results.

    Raises:
      UserError: no run of the baseline finished, an artifact is missing or unfinished, or runs hold other labels for
        the same impressions.
    """
    results = collect(study)
    write_text(study.folder / RESULTS, as_text(results))
    write_report(study.folder, results)
    return results
