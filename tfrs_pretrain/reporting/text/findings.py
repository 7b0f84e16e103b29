"""What the numbers say, in sentences: better, worse, or no difference that the test window can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.evaluation.student_t import t_quantile
from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE
from tfrs_pretrain.reporting.text.curves import mean_curve, stage_one_label
from tfrs_pretrain.reporting.text.formats import DASH, capital, metric_name, number, signed, words

# More comparisons than this are grouped by what they found, and no more of a group than that are named.
SINGLE, LISTED = 4, 8
# A rise of held-out loss that is spoken of: it shows with four digits.
RISE = 5e-4


def headline(results: Mapping[str, Any]) -> str:
    """The finding about one arm in a sentence without figures' small print."""
    name, base = results["headline"], results["baseline"]
    shown, against = capital(words(name)), words(base)
    values = f"{number(results['arms'][name]['test_auc'])} against {number(results['arms'][base]['test_auc'])}"
    if name == base:
        auc = number(results["arms"][base]["test_auc"])
        return f"One arm, {against}: test AUC {auc}, nothing to compare it with"
    entry = comparison(results, name, base)
    verdict = entry["auc"]["verdict"] if entry else UNDEFINED
    if entry is None or verdict == UNDEFINED:
        return f"{shown} and {against} cannot be compared: test AUC or its interval is undefined"
    if verdict == SAME:
        sure = entry["log_loss"]["verdict"] in (BETTER, WORSE)
        text = f"{shown} makes no measurable difference to {against}: test AUC {values}"
        return text + (_log_loss_clause(entry) if sure else "")
    lost = (f" (not after correction for {results['multiplicity']['families']['baseline']} comparisons)"
            if alone(entry["auc"]) else "")
    return f"{shown} ranks {verdict} than {against}: test AUC {values}{lost}{_log_loss_clause(entry)}"


def findings(results: Mapping[str, Any]) -> list[str]:
    """All of them in the order of the report."""
    base = results["baseline"]
    to_baseline = [entry for entry in results["comparisons"] if entry["against"] == base]
    twins = [entry for entry in results["comparisons"] if entry["against"] != base]
    sentences = [sentence(entry) for entry in to_baseline] if len(to_baseline) <= SINGLE else grouped(to_baseline, base)
    sentences += [sentence(entry) for entry in twins] if len(twins) <= SINGLE else _twins(twins)
    one = one_epoch(results)
    return [*sentences, *([one] if one else []), *stage_one(results["stage_one"]), *failures(results["arms"])]


def comparison(results: Mapping[str, Any], arm: str, against: str) -> Mapping[str, Any] | None:
    """The entry of a pair; None where they were not compared."""
    return next((entry for entry in results["comparisons"] if (entry["arm"], entry["against"]) == (arm, against)), None)


def sentence(entry: Mapping[str, Any]) -> str:
    """The finding about one pair with differences and noise."""
    name, base, auc, loss = capital(words(entry["arm"])), words(entry["against"]), entry["auc"], entry["log_loss"]
    if auc["verdict"] == UNDEFINED:
        return f"{name}: not comparable with {base}, because test AUC or its interval is undefined."
    text = {SAME: f"{name} makes no measurable difference to {base}: test AUC",
            BETTER: f"{name} raises test AUC over {base}:", WORSE: f"{name} lowers test AUC below {base}:"}
    ends = "" if loss["value"] is None else f"; log loss {_direction(loss)} ({difference(loss, brackets=False)})"
    lost = [metric_name(metric) for metric in ("auc", "log_loss") if alone(entry[metric])]
    more = f" Not after correction for the number of comparisons: {', '.join(lost)}." if lost else ""
    return f"{text[auc['verdict']]} {difference(auc)}{ends}.{more}"


def alone(change: Mapping[str, Any]) -> bool:
    """Whether a difference is measurable by itself, but not once it is corrected for the number of comparisons."""
    return change["verdict"] in (BETTER, WORSE) and not change["holds"]


def verdict_words(entry: Mapping[str, Any] | None) -> str:
    """What both metrics of a pair say, for a table; a dash where there is no pair."""
    if entry is None:
        return DASH
    found = [_judgement(entry[metric]) for metric in ("auc", "log_loss")]
    return found[0] if found[0] == found[1] else f"{metric_name('auc')} {found[0]}, log loss {found[1]}"


def _judgement(change: Mapping[str, Any]) -> str:
    if alone(change):
        return f"{change['verdict']} (uncorrected)"
    return "not measurable" if change["verdict"] == SAME else str(change["verdict"])


def grouped(entries: Sequence[Mapping[str, Any]], base: str) -> list[str]:
    """The same for many arms: those that raise AUC, lower it, or do neither, largest differences first."""
    before = f"only before correction for {len(entries)} comparisons"
    titles = {(BETTER, True): f"Measurably higher test AUC than {words(base)}, also after correction",
              (BETTER, False): f"Higher test AUC than {words(base)}, measurable {before}",
              (WORSE, True): f"Measurably lower test AUC than {words(base)}, also after correction",
              (WORSE, False): f"Lower test AUC than {words(base)}, measurable {before}",
              (SAME, False): f"No measurable difference of test AUC to {words(base)}",
              (UNDEFINED, False): f"Not comparable with {words(base)}"}
    sentences = []
    for (verdict, holds), title in titles.items():
        found = [entry for entry in entries if (entry["auc"]["verdict"], entry["auc"]["holds"]) == (verdict, holds)]
        found.sort(key=lambda entry: -(entry["auc"]["value"] or 0.0))
        if verdict == WORSE:
            found.reverse()
        listed = [words(entry["arm"]) if verdict == UNDEFINED else
                  f"{words(entry['arm'])} {signed(entry['auc']['value'])}" for entry in found]
        if len(listed) > LISTED:
            listed = [*listed[:LISTED - 1], f"and {len(listed) - LISTED + 1} more in the table"]
        sentences += [f"{title}: {', '.join(listed)}."] if found else []
    return sentences


def _twins(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Many distilled arms against the same arms without a teacher."""
    sure = [f"{words(entry['arm'])} {signed(entry['auc']['value'])} ({entry['auc']['verdict']})" for entry in entries
            if entry["auc"]["holds"]]
    return [f"Of {len(entries)} distilled arms, {len(sure) or 'none'} measurably differ{'s' if len(sure) == 1 else ''} "
            f"in test AUC from the same arm without a teacher, after correction for their number"
            f"{': ' + ', '.join(sure) if sure else ''}."]


def one_epoch(results: Mapping[str, Any]) -> str | None:
    """Whether training the ranker from scratch for longer does harm; None where no such arm took a second epoch."""
    arms = {name: arm for name, arm in results["arms"].items() if arm.get("kind") == "scratch"}
    longest = max(arms, key=lambda name: max(run["epochs"] for run in arms[name]["runs"]), default=None)
    if longest is None or max(run["epochs"] for run in arms[longest]["runs"]) < 2:
        return None
    runs = arms[longest]["runs"]
    curve = mean_curve(runs, "log_loss")
    lowest, end, length = min(curve, key=lambda point: point[1]), curve[-1], runs[0]["examples_per_epoch"]
    name, reached = capital(words(longest)), f"{number(lowest[1])} after {_epochs(lowest[0] / length)}"
    if end[1] - lowest[1] < RISE:
        return f"{name} shows no one-epoch effect: validation log loss is lowest at the end, {reached}."
    return (f"{name} overfits: validation log loss is lowest at {reached} and {number(end[1])} "
            f"({signed(end[1] - lowest[1])}) after {_epochs(end[0] / length)}.")


def _epochs(passes: float) -> str:
    """1 epoch, 1.3 epochs."""
    text = f"{passes:.1f}".removesuffix(".0")
    return f"{text} epoch{'' if text == '1' else 's'}"


def stage_one(found: Mapping[str, Any]) -> list[str]:
    """Whether Stage I's held-out loss kept falling, in each of its settings."""
    settings = found.get("settings", [])
    if len(settings) <= 1:
        return [_one_stage_one(setting["epochs"]) for setting in settings]
    trained = [setting for setting in settings if len(setting["epochs"]) > 1]
    others = [setting for setting in trained if _rises(setting["epochs"])]
    fell = f"{len(trained) - len(others)} of " if others else "all "
    text = f"Stage I's held-out loss fell in every epoch of {fell}{len(trained)} settings that train"
    return [f"{text}{'; not of: ' + '; '.join(stage_one_label(setting) for setting in others) if others else ''}."]


def _one_stage_one(epochs: Sequence[Mapping[str, Any]]) -> str:
    losses = [epoch["heldout_loss"] for epoch in epochs]
    if len(losses) < 2:
        return "Stage I did not train: the rows are random."
    trained, path = len(losses) - 1, f"{number(losses[0], 3)} before training, {number(losses[-1], 3)} at the end"
    rises = _rises(epochs)
    if not rises:
        every = "its one epoch" if trained == 1 else f"every one of {trained} epochs"
        return f"Stage I's held-out loss fell in {every} ({path})."
    best = min(range(len(losses)), key=losses.__getitem__)
    where = ", ".join(str(epochs[position]["epoch"]) for position in rises)
    return (f"Stage I's held-out loss did not fall in every epoch: it rose or stood still in epoch {where} ({path}; "
            f"lowest {number(losses[best], 3)} at epoch {epochs[best]['epoch']}).")


def _rises(epochs: Sequence[Mapping[str, Any]]) -> list[int]:
    losses = [epoch["heldout_loss"] for epoch in epochs]
    return [position for position in range(1, len(losses)) if losses[position] >= losses[position - 1]]


def failures(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Runs that are missing, with the reason; nothing where none is."""
    missing = [(name, failure) for name, arm in arms.items() for failure in arm["failures"]]
    if not missing:
        return []
    listed = "; ".join(f"{words(name)}, seed {failure['seed']}: {failure['reason']}" for name, failure in missing)
    return [f"{len(missing)} run{'s' if len(missing) > 1 else ''} did not finish ({listed})."]


def by_frequency(results: Mapping[str, Any]) -> str | None:
    """Which items gain most and least in the headline's arm; None where fewer than two buckets can be compared."""
    entry = comparison(results, results["headline"], results["baseline"])
    gains = [(part["auc"]["value"], part["slice"]) for part in (entry or {"slices": {}})["slices"].get(
        "item_frequency", ()) if part["auc"]["value"] is not None]
    if entry is None or len(gains) < 2:
        return None
    (least, where_least), (most, where_most) = min(gains), max(gains)
    return (f"{capital(words(entry['arm']))} against {words(entry['against'])}: the largest difference is "
            f"{signed(most)} on items with {where_most} engagements, the smallest {signed(least)} on items with "
            f"{where_least} engagements.")


def noise(results: Mapping[str, Any]) -> str:
    """How the differences were judged, and how many of them there are."""
    many, seeds = results["multiplicity"], results["seeds"]
    over = (f"that by user and that over the {len(seeds)} seeds" if len(seeds) > 1 else
            "here that by user alone, which does not hold the variation from one training seed to the next")
    return (f"A difference is called measurable if every 95 % interval that exists leaves out 0: {over}. "
            f"{_correction(many)}{seeds_words(len(seeds))}")


def _correction(many: Mapping[str, Any]) -> str:
    """What became of the number of comparisons."""
    chance = number(many["expected_by_chance"], 0)
    by_slice = (f"The {many['differences_by_slice']} differences by slice are not corrected: of all intervals by user, "
                f"about {chance} would leave out 0 even if nothing differed." if many["differences_by_slice"] else "")
    if many["families"]["baseline"] < 2:
        return by_slice
    return (f"As {many['families']['baseline']} arms are compared with the baseline, one of them may look different by "
            "chance: “uncorrected” says that the difference is measurable by itself but not after Holm's "
            f"correction, which keeps the chance of any such false finding in a metric below 5 %. {by_slice}")


def seeds_words(count: int) -> str:
    """What so few seeds can show; nothing where there are enough, or one, of which the rule speaks."""
    if count != 2:
        return ""
    two, three, five = (number(t_quantile(0.95, seeds - 1) / math.sqrt(seeds), 1) for seeds in (2, 3, 5))
    return (" Two seeds can show that results scatter, but hardly ever that one arm is better: the mean difference "
            f"must be {two} times its standard deviation over seeds, with three seeds {three} times, with five {five} "
            "times. Here “not measurable” means undecided, not equal: train more seeds.")


def difference(change: Mapping[str, Any], *, brackets: bool = True) -> str:
    """+0.0266 with its intervals."""
    ends = "; ".join(interval_words(change))
    if not ends:
        return signed(change["value"])
    return f"{signed(change['value'])} ({ends})" if brackets else f"{signed(change['value'])}; {ends}"


def interval_words(change: Mapping[str, Any]) -> list[str]:
    """users [+0.0255, +0.0277] and seeds [+0.0250, +0.0282]: those that exist."""
    return [f"{name} [{signed(change[name][0])}, {signed(change[name][1])}]" for name in ("users", "seeds")
            if change[name] is not None]


def _log_loss_clause(entry: Mapping[str, Any]) -> str:
    loss = entry["log_loss"]
    if loss["value"] is None:
        return ""
    agrees = loss["verdict"] in (SAME, entry["auc"]["verdict"])
    lost = " before correction only" if alone(loss) else ""
    return f", {'with' if agrees else 'but'} {_direction(loss)} log loss{lost}"


def _direction(change: Mapping[str, Any]) -> str:
    return {BETTER: "lower", WORSE: "higher"}.get(change["verdict"], "not measurably different")

