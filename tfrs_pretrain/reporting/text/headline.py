"""The headline of a report: the result of one arm in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.evaluation.verdict import SAME, UNDEFINED
from tfrs_pretrain.reporting.text.differences import find_comparison, is_uncorrected, log_loss_direction
from tfrs_pretrain.reporting.text.formats import capitalized, number, spaced


def headline(results: Mapping[str, Any]) -> str:
    """Return the result of the headline arm, without intervals and without a full stop."""
    arm, baseline = results["headline"], results["baseline"]
    name, against = capitalized(spaced(arm)), spaced(baseline)
    auc, baseline_auc = (number(results["arms"][each]["test_auc"]) for each in (arm, baseline))
    if arm == baseline:
        return f"One arm, {against}: test AUC {auc}, nothing to compare it with"
    comparison = find_comparison(results, arm, baseline)
    verdict = comparison["auc"]["verdict"] if comparison else UNDEFINED
    if comparison is None or verdict == UNDEFINED:
        return f"{name} and {against} cannot be compared: test AUC or its interval is undefined"
    values = f"test AUC {auc} against {baseline_auc}"
    if verdict == SAME:
        clause = _log_loss_clause(comparison) if comparison["log_loss"]["verdict"] not in (SAME, UNDEFINED) else ""
        return f"{name} makes no measurable difference to {against}: {values}{clause}"
    num_comparisons = results["multiplicity"]["families"]["baseline"]
    caveat = (f" (not after correction for {num_comparisons} comparisons)" if is_uncorrected(comparison["auc"]) else "")
    return f"{name} ranks {verdict} than {against}: {values}{caveat}{_log_loss_clause(comparison)}"


def _log_loss_clause(comparison: Mapping[str, Any]) -> str:
    log_loss = comparison["log_loss"]
    if log_loss["value"] is None:
        return ""
    conjunction = "with" if log_loss["verdict"] in (SAME, comparison["auc"]["verdict"]) else "but"
    caveat = " before correction only" if is_uncorrected(log_loss) else ""
    return f", {conjunction} {log_loss_direction(log_loss)} log loss{caveat}"
