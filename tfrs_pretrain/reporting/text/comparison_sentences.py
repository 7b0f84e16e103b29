"""Comparisons of arms as sentences: one per comparison, or one per group of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE
from tfrs_pretrain.reporting.text.differences import difference_with_intervals, is_uncorrected, log_loss_direction
from tfrs_pretrain.reporting.text.formats import capitalized, metric_name, signed, spaced

MAX_SENTENCES = 4  # more comparisons are grouped by verdict
MAX_NAMES = 8  # arms named in a group

Comparisons = Sequence[Mapping[str, Any]]


def comparison_sentences(results: Mapping[str, Any]) -> list[str]:
    """Describe the comparisons with the baseline, then those of distilled arms with their twins."""
    baseline = results["baseline"]
    with_baseline = [entry for entry in results["comparisons"] if entry["against"] == baseline]
    with_twins = [entry for entry in results["comparisons"] if entry["against"] != baseline]
    return [*(grouped(with_baseline, baseline) if len(with_baseline) > MAX_SENTENCES else map(single, with_baseline)),
            *([_grouped_twins(with_twins)] if len(with_twins) > MAX_SENTENCES else map(single, with_twins))]


def single(comparison: Mapping[str, Any]) -> str:
    """Describe one comparison with its differences and intervals."""
    name, against = capitalized(spaced(comparison["arm"])), spaced(comparison["against"])
    auc, log_loss = comparison["auc"], comparison["log_loss"]
    if auc["verdict"] == UNDEFINED:
        return f"{name}: not comparable with {against}, because test AUC or its interval is undefined."
    start = {SAME: f"{name} makes no measurable difference to {against}: test AUC",
             BETTER: f"{name} raises test AUC over {against}:", WORSE: f"{name} lowers test AUC below {against}:"}
    clause = "" if log_loss["value"] is None else (
        f"; log loss {log_loss_direction(log_loss)} ({difference_with_intervals(log_loss, brackets=False)})")
    uncorrected = [metric_name(metric) for metric in ("auc", "log_loss") if is_uncorrected(comparison[metric])]
    caveat = f" Not after correction for the number of comparisons: {', '.join(uncorrected)}." if uncorrected else ""
    return f"{start[auc['verdict']]} {difference_with_intervals(auc)}{clause}.{caveat}"


def grouped(comparisons: Comparisons, baseline: str) -> list[str]:
    """Describe many comparisons with the baseline: a sentence per verdict on AUC, largest differences first."""
    against, caveat = spaced(baseline), f"measurable only before correction for {len(comparisons)} comparisons"
    titles = {(BETTER, True): f"Measurably higher test AUC than {against}, also after correction",
              (BETTER, False): f"Higher test AUC than {against}, {caveat}",
              (WORSE, True): f"Measurably lower test AUC than {against}, also after correction",
              (WORSE, False): f"Lower test AUC than {against}, {caveat}",
              (SAME, False): f"No measurable difference of test AUC to {against}",
              (UNDEFINED, False): f"Not comparable with {against}"}
    sentences = []
    for (verdict, holds), title in titles.items():
        group = [entry for entry in comparisons if (entry["auc"]["verdict"], entry["auc"]["holds"]) == (verdict, holds)]
        group.sort(key=lambda entry: entry["auc"]["value"] or 0.0, reverse=verdict != WORSE)
        sentences += [f"{title}: {_names(group)}."] if group else []
    return sentences


def _names(group: Comparisons) -> str:
    names = [spaced(entry["arm"]) if entry["auc"]["verdict"] == UNDEFINED else
             f"{spaced(entry['arm'])} {signed(entry['auc']['value'])}" for entry in group]
    if len(names) > MAX_NAMES:
        names = [*names[:MAX_NAMES - 1], f"and {len(names) - MAX_NAMES + 1} more in the table"]
    return ", ".join(names)


def _grouped_twins(comparisons: Comparisons) -> str:
    measurable = [f"{spaced(entry['arm'])} {signed(entry['auc']['value'])} ({entry['auc']['verdict']})"
                  for entry in comparisons if entry["auc"]["holds"]]
    verb = "differs" if len(measurable) == 1 else "differ"
    return (f"Of {len(comparisons)} distilled arms, {len(measurable) or 'none'} measurably {verb} in test AUC from the "
            f"same arm without a teacher, after correction for their number"
            f"{': ' + ', '.join(measurable) if measurable else ''}.")
