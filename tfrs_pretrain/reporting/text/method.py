"""How each number was obtained, and what it does not mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.text.formats import count, share

AUC = (
    "Exact, ties counted half, over all test impressions of all users together. It judges the order, not the "
    "size of the probabilities, and rewards knowing which users engage often.")
GAUC = (
    "AUC within each user, averaged by impressions over users who have both labels (Zhou et al., KDD 2018). "
    "Nearer to what a ranked page shows, but users with one label do not count.")
NORMALIZED_ENTROPY = (
    "Log loss over that of always predicting the mean (He et al., ADKDD 2014).")
CALIBRATION = (
    "Sum of predictions over sum of labels; 1 on the whole does not mean calibrated everywhere: that is what "
    "the bins show.")
BY_USER = (
    "95 % percentile intervals of bootstrap samples of users, all impressions of a user together (Field and "
    "Welsh, JRSS B 2007). Both arms of a difference, with all their seeds, are judged on the same sampled "
    "users. They hold the variation from one sample of users to another, not that from one week to the next.")
OVER_SEEDS = (
    "Student's 95 % interval of the mean over seeds of the paired differences. It takes seeds as normally "
    "distributed and is wide with three of them; all seeds saw the same users.")
ONE_SEED = (
    "One seed was trained, so there are none: another seed may move every number by more than the interval by "
    "user.")
CORRECTION = (
    "Holm's (Scandinavian Journal of Statistics 1979), for each metric over all arms that are compared with the "
    "baseline, and apart from them over distilled arms against their twins. A comparison's p value is the larger of "
    "two, as the rule asks for both: by user, of a normal distribution with the bootstrap's standard error, and over "
    "seeds, of Student's t test. With three seeds and many arms it is strict: more seeds help more than more users. "
    "Slices are not corrected.")
SELECTION = (
    "Settings are chosen, and the headline's arm too (unless one was exported), on validation alone. Test is "
    "for judging; what was ever looked at on test is counted as settings tested.")
STAGE_ONE = (
    "On single engagements kept out of Stage I's training by hash; many repeat a pair that is in training, as "
    "engagements do, and count in the loss but not in the recall. Good values say that the rows hold tastes of "
    "the pretraining window, not that the ranker gains from them: that is the table of arms.")
PURITY = (
    "Says that rows of one category lie together, not that this helps the ranker: items of one category also "
    "share users and popularity.")
DERIVED = (
    "What was shown is inferred, so no number here estimates a click-through or purchase rate; all arms share "
    "the same inferred impressions, so their differences are still a fair comparison of ways to train.")
TIME = (
    "On one machine, under its load. Memory is the peak of the largest process, not the sum.")


def method(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Terms and their explanations, in the order of the report."""
    splits, sampled = results["data"][0]["splits"], results["exposures"]
    draws = count(results["resampling"]["replicates"])
    heldout = f"{count(splits['pairs/heldout']['examples'])} engagements were held out." if results["stage_one"] else ""
    terms = [
        ("AUC", AUC), ("GAUC", GAUC), ("Log loss", _log_loss(splits["impressions/test"], sampled)),
        ("Normalized entropy", NORMALIZED_ENTROPY), ("Calibration", CALIBRATION),
        ("Intervals by user", f"{BY_USER} {draws} samples were drawn."),
        ("Intervals over seeds", OVER_SEEDS if len(results["seeds"]) > 1 else ONE_SEED),
        ("Measurable", f"{results['resampling']['rule'].capitalize()}."),
        ("Correction", CORRECTION),
        ("Selection", SELECTION),
        ("Held-out loss, recall", f"{STAGE_ONE} {heldout}" if results["stage_one"] else None),
        ("Neighbour purity", PURITY if results["embedding_map"] else None),
        ("Derived exposures", DERIVED if sampled else None), ("Time and memory", TIME),
    ]
    return [(term, text) for term, text in terms if text]


def _log_loss(test: Mapping[str, Any], sampled: str | None) -> str:
    decided = ", which the sampling of negatives decides" if sampled else ""
    return (f"Mean binary cross-entropy in nats. It depends on the share of positives, {share(test.get('label_rate'))} "
            f"here{decided}: not comparable with other data.")
