"""Comparisons of arms, against naive twins on the stored predictions."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_study import NOISE, SEEDS, impressions, write_example, write_ranker
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.verdict import BETTER, SAME
from tfrs_pretrain.results.collect import collect
from tfrs_pretrain.results.comparisons import compare_arms
from tfrs_pretrain.results.pairs import compared_pairs
from tfrs_pretrain.results.study_evaluation import RESAMPLING, align_scores, evaluate_study
from tfrs_pretrain.study import Run, StudiedArm, Trial


@pytest.fixture(scope="module")
def results(study):
    return collect(study)


def scores(study, arm, seed):
    return pq.read_table(study.folder / f"{arm}-{seed}" / "predictions" / "test.parquet")["score"].to_numpy()


def compared(study, resampling=RESAMPLING):
    """Comparisons as in ``results.json``."""
    return [each.to_json() for each in compare_arms(study, evaluate_study(study, resampling).comparison)]


def entry(results, arm, against):
    [found] = [one for one in results["comparisons"] if (one["arm"], one["against"]) == (arm, against)]
    return found


def test_arms_are_compared_with_the_baseline_and_distilled_arms_with_their_twins(results):
    assert [(one["arm"], one["against"]) for one in results["comparisons"]] == [
        ("warm", "scratch"), ("distilled", "scratch"), ("distilled", "warm")]


def test_differences_are_means_over_seeds_with_a_student_t_interval(study, results):
    labels = impressions()[0]["label"]
    twins = {"auc": roc_auc_score, "log_loss": lambda labels, scores: log_loss(labels, scores.astype(float))}
    for metric, twin in twins.items():
        by_seed = [[twin(labels, scores(study, arm, seed)) for seed in SEEDS] for arm in ("warm", "scratch")]
        found = entry(results, "warm", "scratch")[metric]
        assert found["by_seed"] == pytest.approx(np.subtract(*by_seed))
        assert found["value"] == pytest.approx(np.subtract(*by_seed).mean())
        expected = stats.ttest_rel(*by_seed).confidence_interval(0.95)
        assert found["seeds"] == pytest.approx((expected.low, expected.high))
        assert found["verdict"] == BETTER
        assert results["arms"]["warm"]["test"][metric]["mean"] == pytest.approx(np.mean(by_seed[0]))
        assert results["arms"]["warm"]["test"][metric]["sd"] == pytest.approx(np.std(by_seed[0], ddof=1))


def test_interval_by_user_resamples_the_seed_averaged_difference(study):
    """Naive twin: draw users by copying impressions, average over seeds within each draw, take quantiles."""
    resampling, columns = Resampling(60, seed=5), impressions()[0]
    _, users = np.unique(columns["user_id"], return_inverse=True)
    first = np.unique(users, return_index=True)[1]
    users = np.argsort(np.argsort(first))[users]  # in order of first appearance
    rows_of = [np.flatnonzero(users == user) for user in range(users.max() + 1)]
    generator, twins = np.random.default_rng(resampling.seed), []
    both = {arm: [scores(study, arm, seed) for seed in SEEDS] for arm in ("warm", "scratch")}
    for _ in range(resampling.replicates):
        rows = np.concatenate([rows_of[user] for user in generator.integers(0, len(rows_of), len(rows_of))])
        aucs = {arm: [roc_auc_score(columns["label"][rows], one[rows]) for one in each] for arm, each in both.items()}
        twins.append(np.mean(np.subtract(aucs["warm"], aucs["scratch"])))
    low, high = np.quantile(twins, [0.025, 0.975], method="weibull")
    found = compared(study, resampling)[0]
    assert (found["arm"], found["against"]) == ("warm", "scratch")
    assert found["auc"]["users"] == pytest.approx((low, high), abs=1e-9)


def test_p_value_by_user_uses_the_bootstrap_standard_error(study):
    """Naive twin: its own draws of users, with per-user sums of log loss."""
    columns = impressions()[0]
    labels, users = columns["label"], np.unique(columns["user_id"], return_inverse=True)[1]
    one, other = ([scores(study, arm, seed).astype(float) for seed in SEEDS] for arm in ("distilled", "warm"))
    losses = np.mean([[-np.where(labels > 0, np.log(each), np.log1p(-each)) for each in arm] for arm in (one, other)],
                     axis=1)
    by_user = np.stack([np.bincount(users, losses[0] - losses[1]), np.bincount(users)])
    drawn = np.random.default_rng(0).integers(0, by_user.shape[1], (4000, by_user.shape[1]))
    totals = by_user[:, drawn].sum(axis=2)
    z = (losses[0] - losses[1]).mean() / np.std(totals[0] / totals[1], ddof=1)
    found = entry({"comparisons": compared(study)}, "distilled", "warm")["log_loss"]
    assert stats.norm.isf(found["p_users"] / 2) == pytest.approx(abs(z), rel=0.1)


def test_p_values_are_corrected_within_their_family(results):
    """Each metric by itself: both comparisons with the baseline together, the comparison with the twin alone."""
    for metric in ("auc", "log_loss", "gauc"):
        warm, distilled, twin = (entry(results, *pair)[metric] for pair in (
            ("warm", "scratch"), ("distilled", "scratch"), ("distilled", "warm")))
        for change in (warm, distilled, twin):
            assert change["p_seeds"] == pytest.approx(stats.ttest_1samp(change["by_seed"], 0).pvalue, rel=1e-6)
            assert change["p"] == max(change["p_users"], change["p_seeds"])
        smaller, larger = sorted((warm, distilled), key=lambda change: change["p"])
        assert smaller["p_corrected"] == pytest.approx(min(1, 2 * smaller["p"]))
        assert larger["p_corrected"] == pytest.approx(max(larger["p"], smaller["p_corrected"]))
        assert twin["p_corrected"] == twin["p"]


def test_more_comparisons_raise_the_corrected_p_value(study, monkeypatch):
    """The same difference alone and with 19 comparisons of copies of the baseline."""
    def changes(arms):
        return entry({"comparisons": compared(arms, Resampling(60))}, "warm", "scratch")["auc"]

    two = dataclasses.replace(study, arms=study.arms[:2])
    found = changes(two)
    copies = [dataclasses.replace(study.arms[0], name=f"copy_{index}") for index in range(19)]
    among_many = changes(dataclasses.replace(study, arms=[*two.arms, *copies]))
    assert among_many["p_corrected"] == pytest.approx(min(1, 20 * found["p"]))
    assert (found["verdict"], found["holds"]) == (BETTER, True)
    assert (among_many["verdict"], among_many["holds"]) == (BETTER, 20 * found["p"] <= 0.05)


def test_slices_are_by_item_frequency_and_by_user_frequency(study, results):
    columns, _ = impressions()
    found = entry(results, "warm", "scratch")["slices"]
    assert [part["slice"] for part in found["item_frequency"]] == ["0", "1-4", "5-19", "20-99", "100+"]
    assert [part["slice"] for part in found["user_frequency"]] == ["1-4", "20-99"]  # empty slices are left out
    rows = columns["user_count"] < 5
    by_seed = [[roc_auc_score(columns["label"][rows], scores(study, arm, seed)[rows]) for seed in SEEDS]
               for arm in ("warm", "scratch")]
    part = found["user_frequency"][0]
    assert part["auc"]["value"] == pytest.approx(np.subtract(*by_seed).mean())
    assert (part["impressions"], part["positives"]) == (rows.sum(), columns["label"][rows].sum())


def test_arms_with_equal_quality_have_no_measurable_difference(tmp_path):
    study = write_example(tmp_path)
    columns, logits = impressions()
    rankers = [write_ranker(tmp_path / f"copy-{seed}", "copy", seed, columns=columns, logits=logits) for seed in SEEDS]
    runs = [Run(seed, ranker, None, tmp_path / "dataset") for seed, ranker in zip(SEEDS, rankers, strict=True)]
    study = dataclasses.replace(study, arms=[study.arms[0], StudiedArm("copy", {}, runs)])
    [found] = compared(study)
    assert found["auc"]["verdict"] == found["log_loss"]["verdict"] == SAME
    assert found["auc"]["users"][0] < 0 < found["auc"]["users"][1]


def test_only_shared_seeds_are_paired(study):
    arms = [study.arms[0], dataclasses.replace(study.arms[1], runs=study.arms[1].runs[1:2])]
    less = dataclasses.replace(study, arms=arms)
    [found] = compared(less)
    assert found["seeds"] == [2]
    assert found["auc"]["seeds"] is None
    assert len(found["auc"]["by_seed"]) == 1


def test_runs_on_another_dataset_are_aligned_by_key(tmp_path):
    study = write_example(tmp_path)
    columns, logits = impressions()
    order = np.random.default_rng(0).permutation(len(logits))[:2000]
    moved = {name: value.take(pa.array(order)) if isinstance(value, pa.Array) else value[order]
             for name, value in columns.items()}
    folder = write_ranker(tmp_path / "moved", "warm", 2, columns=moved, logits=logits[order], dataset="e" * 64)
    gap = StudiedArm("gap", {}, [Run(2, folder, None, tmp_path / "dataset")])
    study = dataclasses.replace(study, arms=[study.arms[0], gap])
    aligned = align_scores(study)
    assert sorted(aligned.reference.keys) == sorted(columns["key"][order])
    assert aligned.notes == [
        "Compared on the 2,000 test impressions that every run scored, of 2,500 that scratch scored."]
    table = pq.read_table(folder / "predictions" / "test.parquet")
    expected = dict(zip(moved["key"], table["score"].to_numpy(), strict=True))
    assert aligned.scores["gap 2"].tolist() == [expected[key] for key in aligned.reference.keys]


def test_runs_with_different_labels_for_an_impression_are_refused(tmp_path):
    study = write_example(tmp_path)
    columns, logits = impressions()
    wrong = columns | {"label": 1 - columns["label"]}
    folder = write_ranker(tmp_path / "wrong", "warm", 9, columns=wrong, logits=logits)
    study = dataclasses.replace(study, arms=[study.arms[0], StudiedArm("wrong", {}, [Run(9, folder, None, folder)])])
    with pytest.raises(UserError, match="another label or user"):
        evaluate_study(study)


def test_a_study_without_a_run_of_the_baseline_is_refused(study):
    with pytest.raises(UserError, match="no run of its baseline 'broken' finished"):
        evaluate_study(dataclasses.replace(study, baseline="broken"))


def test_a_twin_may_differ_in_values_chosen_from_trials(study):
    def tried(arm, **settings):
        trials = [Trial({"arm.table_learning_rate": rate}, 1, {"log_loss": rate}) for rate in (0.1, 0.2)]
        return dataclasses.replace(arm, settings={**arm.settings, **settings}, trials=trials)

    scratch, warm, distilled, _ = study.arms
    both = [scratch, tried(warm, **{"arm.table_learning_rate": 0.1}),
            tried(distilled, **{"arm.table_learning_rate": 0.2})]
    names = [(arm.name, other.name) for arm, other in compared_pairs(dataclasses.replace(study, arms=both))]
    assert ("distilled", "warm") in names
    other = [scratch, dataclasses.replace(warm, settings={**warm.settings, "arm.fresh_dim": 8}), distilled]
    assert ("distilled", "warm") not in [
        (arm.name, against.name) for arm, against in compared_pairs(dataclasses.replace(study, arms=other))]


def test_results_are_json_with_the_documented_keys(study, results):
    read = json.loads(json.dumps(results, allow_nan=False))
    for arm in NOISE.keys() - {"copy"}:
        assert set(read["arms"][arm]) >= {"test_auc", "test_log_loss", "test_gauc"}
    assert read["format"] == 4
    assert read["seconds"] == {"stage_two": 40.0, "stage_one": 2.0, "total": 42.0}
    assert read["stage_one"]["heldout_loss"] == pytest.approx([9.0, 8.0, 7.0])  # mean over seeds 1, 2, 3
    assert read["stage_one"]["heldout_loss_before_training"] == pytest.approx(10.0)
    assert "test" not in read["arms"]["broken"]
    assert read["arms"]["broken"]["failures"] == [{"seed": 1, "reason": "the loss is not finite"}]
    assert [trial["chosen"] for trial in read["arms"]["scratch"]["trials"]] == [False, True, False]
    assert read["multiplicity"] == {
        "pairs": 3, "differences": 9, "differences_by_slice": 21, "expected_by_chance": 1.5, "correction": "Holm",
        "families": {"baseline": 2, "twins": 1}}


def test_the_headline_is_chosen_on_validation(study, results):
    assert results["headline"] == "warm"
    assert collect(dataclasses.replace(study, exported={"arm": "distilled"}))["headline"] == "distilled"
