"""Explain how each number was obtained, and what it does not mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.text.formats import capitalized, count, percent

AUC = (
    "Exact, ties counted half, over the test impressions of all users together. It measures the order of the "
    "predictions, not their size, and it also rewards knowing which users engage often.")
GAUC = (
    "AUC within each user, averaged over users that have both labels, weighted by impressions (Zhou et al., KDD 2018). "
    "It is closer to the order on a ranked page, but users with one label do not count.")
NORMALIZED_ENTROPY = (
    "Log loss divided by the log loss of always predicting the mean (He et al., ADKDD 2014).")
CALIBRATION = (
    "Sum of the predictions divided by the sum of the labels. An overall value of 1 does not imply calibration "
    "everywhere: see the bins.")
BY_USER = (
    "95 % percentile intervals of bootstrap samples of users, with all impressions of a user together (Field and "
    "Welsh, JRSS B 2007). Both arms of a difference, with all their seeds, are evaluated on the same sampled "
    "users. The intervals include the variation between samples of users, but not between weeks.")
OVER_SEEDS = (
    "Student's 95 % interval of the mean over seeds of the paired differences. It assumes normally distributed "
    "seeds and is wide with three of them. All seeds use the same users.")
ONE_SEED = (
    "None, because one seed was trained: another seed may change every number by more than the interval by user.")
CORRECTION = (
    "Holm's (Scandinavian Journal of Statistics 1979), for each metric over all arms that are compared with the "
    "baseline, and separately over distilled arms against their twins without a teacher. The p value of a comparison "
    "is the larger of two, because the rule requires both: by user, from a normal distribution with the bootstrap's "
    "standard error, and over seeds, from Student's t test. With three seeds and many arms the correction is strict; "
    "more seeds help more than more users. Slices are not corrected.")
SELECTION = (
    "Settings, and the headline arm unless a model was exported, are chosen on validation only. Every setting that was "
    "ever evaluated on test is counted as tested.")
STAGE_ONE = (
    "On single engagements held out from Stage I's training by hash. Many repeat a pair that is in training; these "
    "count in the loss but not in the recall. Good values show that the rows describe preferences in the pretraining "
    "window, not that the ranker improves: see the table of arms.")
PURITY = (
    "Shows that rows of one category are close to each other, not that this helps the ranker: items of one category "
    "also share users and popularity.")
DERIVED = (
    "The impressions are inferred, so no number here estimates a click-through or purchase rate. All arms use the same "
    "inferred impressions, so their differences are still a fair comparison of training methods.")
TIME = (
    "On one machine, under its load at the time. Memory is the peak of the largest process, not the sum.")


def method(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the terms of the report with their explanations."""
    splits, exposures = results["data"][0]["splits"], results["exposures"]
    samples = count(results["resampling"]["replicates"])
    terms = [
        ("AUC", AUC), ("GAUC", GAUC), ("Log loss", _log_loss(splits["impressions/test"], exposures)),
        ("Normalized entropy", NORMALIZED_ENTROPY), ("Calibration", CALIBRATION),
        ("Intervals by user", f"{BY_USER} {samples} samples were drawn."),
        ("Intervals over seeds", OVER_SEEDS if len(results["seeds"]) > 1 else ONE_SEED),
        ("Measurable", f"{capitalized(results['resampling']['rule'])}."),
        ("Correction", CORRECTION),
        ("Selection", SELECTION),
        ("Held-out loss, recall", _stage_one(splits) if results["stage_one"] else None),
        ("Neighbour purity", PURITY if results["embedding_map"] else None),
        ("Derived exposures", DERIVED if exposures else None), ("Time and memory", TIME),
    ]
    return [(term, text) for term, text in terms if text]


def _log_loss(test: Mapping[str, Any], exposures: str | None) -> str:
    cause = ", which depends on the sampling of negatives" if exposures else ""
    return (f"Mean binary cross-entropy in nats. It depends on the share of positives, "
            f"{percent(test.get('label_rate'))} here{cause}, so it is not comparable with other data.")


def _stage_one(splits: Mapping[str, Any]) -> str:
    return f"{STAGE_ONE} {count(splits['pairs/heldout']['examples'])} engagements were held out."
