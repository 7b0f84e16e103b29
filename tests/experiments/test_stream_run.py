"""A tiny stream, from logs to report: chains, choice, no peeking, continuation, prune. Pieces are made in this process.

Starting workers is tested elsewhere and takes longer than everything here.
"""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from planted import planted_config

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.experiments import stream_run
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.experiments.make_piece import make_piece
from tfrs_pretrain.experiments.prune import prune
from tfrs_pretrain.experiments.stream_plan import StreamPlan
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss
from tfrs_pretrain.reporting.log_summary import log_rows
from tfrs_pretrain.reporting.stream_report import write_stream, write_stream_report
from tfrs_pretrain.results.log_summary import summarize_stream_log
from tfrs_pretrain.stream_study import StreamStudy
from tfrs_pretrain.vocabulary_changes import RowMap

pytestmark = pytest.mark.slow
WARM = {"arm.transfer": {"kind": "warm_start", "cold_rows": "random", "shrinkage": None}}
ARMS = {"scratch": {"choose": {"arm.table_learning_rate": [1.0e-9, 0.02]}},
        "sliding": {"set": {"stream.sliding_windows": 2, "arm.frequency_adaptive_rate": True}},
        "once": {"set": WARM}, "frozen": {"set": {"arm.transfer": "frozen", "stream.refresh_every": 1}}}


class InProcess:
    """A scheduler that makes pieces here, at most ``most`` of them."""

    most, made = 10**6, []

    def __init__(self, root, jobs, threads, costs):
        self.root, self.costs, self.failures = root, costs, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def run(self, pieces):
        for piece in dict.fromkeys(need for target in pieces for need in target.with_dependencies()):
            if not piece.is_finished(self.root):
                if len(self.made) == self.most:
                    raise SystemExit(143)
                make_piece(piece.kind, piece.task, piece.folder(self.root), self.root)
                self.made.append(piece)
                self.costs.add(piece, 1.0, 10**6)


def write(folder):
    tree = planted_config()
    tree["schema"]["user"]["decay"] = 0.9
    tree["schema"]["item"] |= {"decay": 0.9, "max_size": 200, "eviction": "least_frequent"}
    tree["pretraining"] |= {"epochs": 1, "batch_size": 128}
    tree["ranking"]["batch_size"] = 64
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({
        "title": "Tiny stream", "config": "config.yaml", "logs": {"source": "raw"}, "seeds": [1],
        "stream": {"start": 20, "length": 1, "windows": 3}, "set": {"ranking.evals_per_epoch": 2},
        "baseline": "scratch", "arms": ARMS}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, planted_logs):
    """Experiment file, output, study and results of a stream that was stopped after four pieces and continued."""
    folder = tmp_path_factory.mktemp("stream")
    path, output = write(folder), folder / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_run, "Scheduler", InProcess)
        patch.setattr(InProcess, "made", [])
        patch.setattr(InProcess, "most", 4)
        with pytest.raises(SystemExit):
            stream_run.run_stream(path, output, Selection(planted_logs), jobs=1, threads=1)
        patch.setattr(InProcess, "most", 10**6)
        study = stream_run.run_stream(path, output, Selection(planted_logs), jobs=1, threads=1)
        made = list(InProcess.made)
    return path, output, study, write_stream(study), made


def steps(finished, name):
    [arm] = [arm for arm in finished[2].arms if arm.name == name]
    return arm.runs[1]


def tables(step):
    return {path.name: np.load(path) for path in sorted((step.ranker / "tables").iterdir())}


def test_every_piece_was_made_once_and_shared(finished):
    made = finished[4]
    assert len(set(made)) == len(made)
    kinds = [piece.kind for piece in made]
    # Datasets: two, and one with two windows to train on. Rows: of two windows, and those carried to the second.
    assert (kinds.count("dataset"), kinds.count("embeddings")) == (3, 3)
    assert kinds.count("ranker") == 1 + 2 + 2 + 2 + 2  # the candidate that lost, then two windows of each arm
    assert len(made) == len(set(made)) == 3 + 3 + 9


def test_settings_are_chosen_on_the_first_judged_window_only(finished):
    _, output, study, results, _ = finished
    [scratch] = [arm for arm in study.arms if arm.name == "scratch"]
    assert scratch.settings == {"arm.table_learning_rate": 0.02}
    losses = [trial["log_loss"] for trial in scratch.trials]
    assert losses[1] < losses[0]
    judged = read_manifest(steps(finished, "scratch")[0].ranker, "ranker")
    assert losses[1] == judged["metrics"]["validation"]["log_loss"]
    rankers = list((output / "pieces" / "ranker").glob("scratch-window2-*"))
    assert len(rankers) == 2  # scratch and sliding: the candidate that lost was never judged on the later window
    assert [window["choosing"] for window in results["judged"]] == [True, False]
    assert json.loads((output / "test_evaluations.json").read_text()).keys() >= set(ARMS)
    assert set(study.evaluations.values()) == {1}


def test_labels_of_the_judged_window_change_no_bit_of_the_ranker_judged_on_it(finished, planted_logs, tmp_path):
    path = finished[0]
    shutil.copytree(planted_logs, tmp_path / "logs")
    table = pq.read_table(planted_logs / "impressions.parquet")
    flipped = pc.if_else(pc.greater_equal(table["day"], 21), pc.subtract(pa.scalar(1, pa.int8()), table["clicked"]),
                         table["clicked"])
    position = table.column_names.index("clicked")
    pq.write_table(table.set_column(position, "clicked", flipped), tmp_path / "logs" / "impressions.parquet")
    plan = StreamPlan(path, Selection(tmp_path / "logs"))
    ranker = plan.chain(plan.arms[0], plan.arms[0].candidates[1], 1)[0]
    for piece in ranker.with_dependencies():
        make_piece(piece.kind, piece.task, piece.folder(tmp_path), tmp_path)
    ours, changed = steps(finished, "scratch")[0], ranker.folder(tmp_path)
    for name, rows in tables(ours).items():
        np.testing.assert_array_equal(np.load(changed / "tables" / name), rows)
    scored, rescored = (Predictions.open(folder, "validation") for folder in (ours.ranker, changed))
    np.testing.assert_array_equal(scored.scores, rescored.scores)
    assert (scored.labels == 1 - rescored.labels).all()
    assert len(scored.keys) == pc.sum(pc.equal(table["day"], 21)).as_py()


def test_rows_are_carried_by_id(finished):
    """Rows that no impression of the window contains are those of the window before."""
    first, second = steps(finished, "scratch")
    earlier, later = (Dataset.open(step.dataset).vocabulary("item") for step in (first, second))
    assert later.num_ids == 200
    row_map = RowMap.between(earlier, later)
    before, after = (tables(step)["item.npy"] for step in (first, second))
    same = (before[row_map.source] == after[row_map.target]).all(axis=1)
    assert 0.2 < same.mean() < 1  # items without an impression in the second window
    sliding = tables(steps(finished, "sliding")[1])["item.npy"]
    assert Dataset.open(steps(finished, "sliding")[1].dataset).digests == Dataset.open(second.dataset).digests
    # Trained from scratch, only rows that no impression ever changed are the same.
    assert (before[row_map.source] == sliding[row_map.target]).all(axis=1).mean() < same.mean()


def test_frozen_rows_follow_stage_one_and_rows_of_stage_one_once_do_not(finished):
    first, second = steps(finished, "frozen")
    rows = [Embeddings.open(next(path for path in (finished[1] / "pieces" / "embeddings").iterdir()
                                 if path.name.startswith(f"window{number}-seed1-") and "carried" not in path.name))
            for number in (1, 2)]
    for step, embeddings in ((first, rows[0]), (second, rows[1])):
        trained = embeddings.trained_rows("item")
        vocabulary = embeddings.vocabulary("item")
        known = np.flatnonzero(vocabulary.occurring if trained is None else trained & (
            np.arange(vocabulary.num_rows) >= vocabulary.oov_rows))
        np.testing.assert_allclose(tables(step)["item.npy"][known], embeddings.matrix("item")[known], atol=1e-6)
    assert not np.allclose(rows[0].matrix("item")[8:100], rows[1].matrix("item")[8:100])
    carried = Embeddings.open(next(path for path in (finished[1] / "pieces" / "embeddings").iterdir()
                                   if "carried" in path.name))
    row_map = RowMap.between(rows[0].vocabulary("item"), carried.vocabulary("item"))
    np.testing.assert_array_equal(carried.matrix("item")[row_map.target], rows[0].matrix("item")[row_map.source])
    assert carried.trained_rows("item")[row_map.target].sum() == rows[0].vocabulary("item").occurring[
        row_map.source].sum() == carried.trained_rows("item")[8:].sum()


def test_results_are_the_metrics_of_the_judged_windows(finished):
    results = finished[3]
    for name in ARMS:
        for number, step in enumerate(steps(finished, name)):
            table = pq.read_table(step.ranker / "predictions" / "validation.parquet")
            labels, scores = table["label"].to_numpy(), table["score"].to_numpy()
            window = results["arms"][name]["windows"][number]
            assert window["auc"]["mean"] == pytest.approx(auc(labels, scores))
            assert window["log_loss"]["mean"] == pytest.approx(log_loss(labels, scores), rel=1e-6)
            assert results["judged"][number]["impressions"] == len(labels)
    once = results["comparisons"]["once"]
    values = [results["arms"][name]["windows"][1]["auc"]["mean"] for name in ("once", "scratch")]
    assert once["auc"]["windows"][1]["value"] == pytest.approx(values[0] - values[1])
    assert once["auc"]["later"]["value"] == once["auc"]["windows"][1]["value"]
    sizes = [window["impressions"] for window in results["judged"]]
    losses = [[window["log_loss"]["mean"] for window in results["arms"][name]["windows"]]
              for name in ("once", "scratch")]
    expected = np.cumsum([size * (ours - theirs) for size, ours, theirs in zip(sizes, *losses, strict=True)])
    np.testing.assert_allclose(results["regret"]["arms"]["once"]["baseline"]["by_window"], expected)
    assert set(once["auc"]["slices"]) == {"item_frequency", "items", "users", "item_age"}
    lifecycle = results["judged"][1]["vocabulary"]["item"]
    assert lifecycle["kept"] + lifecycle["admitted"] == 200
    assert results["arms"]["frozen"]["windows"][1] | {"auc": 0, "log_loss": 0} == {
        "auc": 0, "log_loss": 0, "stage_one": 1.0, "stage_two": 1.0}
    assert results["judged"][1]["dataset_seconds"] == 2.0  # the chain's and that of the sliding windows


def test_the_summary_of_several_logs_shows_the_later_windows(finished):
    results = finished[3]
    found = summarize_stream_log(results)
    assert found["arms"]["once"]["auc"] == {"mean": results["arms"]["once"]["later"]["auc"], "low": None, "high": None}
    assert found["verdicts"]["once"] == {"auc": "undefined", "log_loss": "undefined"}  # one window and one seed
    assert list(found["settings"]) == ["scratch"]
    assert log_rows({"logs": {"tiny": found}})[0][:2] == ["tiny", "scratch"]


def test_the_report_has_the_figure_and_every_table(finished, tmp_path):
    output = finished[1]
    page, text = ((output / name).read_text() for name in ("report.html", "report.md"))
    for heading in ("Does the gain last?", "Window by window", "Cumulative regret", "Where the gain comes from",
                    "Drift of the vocabularies", "Cost", "Settings"):
        assert f"<h2>{heading}</h2>" in page
        assert heading in ("Does the gain last?", "Where the gain comes from") or f"## {heading}" in text
    assert 'id="plot-stream"' in page
    assert "nan" not in text.lower().replace("finance", "")
    stored = json.loads((output / "results.json").read_text())
    write_stream_report(tmp_path, stored)
    assert (tmp_path / "report.md").read_text() == text


def test_a_stored_stream_is_read_as_it_was_and_prune_keeps_its_pieces(finished, planted_logs):
    path, output, study, _, made = finished
    opened = StreamStudy.open(output)
    assert opened.arms == tuple(dataclasses.replace(
        arm, runs={seed: tuple(each) for seed, each in arm.runs.items()}, trials=tuple(arm.trials),
        failures=tuple(arm.failures)) for arm in study.arms)
    (output / "pieces" / "ranker" / "other-1").mkdir()
    prune(path, output, Selection(planted_logs), lambda folders: [each.folder.name for each in folders] == ["other-1"])
    assert not (output / "pieces" / "ranker" / "other-1").exists()
    assert all(piece.is_finished(output) for piece in made)
