"""Evaluate a finished study and write its results and report."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.artifact_names import RESULTS
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.report import write_report
from tfrs_pretrain.results.collect import collect, to_text
from tfrs_pretrain.study import Study


def write_study(study: Study) -> dict[str, Any]:
    """Evaluate a study and write ``results.json``, ``report.html`` and ``report.md`` into its folder.

    Returns:
      the results, as documented in ``tfrs_pretrain.results``.

    Raises:
      UserError: no run of the baseline finished, an artifact is missing or unfinished, or two runs have different
        labels for an impression.
    """
    results = collect(study)
    write_text(study.folder / RESULTS, to_text(results))
    write_report(study.folder, results)
    return results
