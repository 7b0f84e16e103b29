"""Evaluation of one and two models, as a function, as a table and as ``tfrs-pretrain evaluate``."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from command_line import run_command
from planted_predictions import impressions, write_ranker
from rich.console import Console
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.evaluation.show import show_evaluation


@pytest.fixture
def evaluation(rankers):
    return evaluate(rankers["good"], rankers["bad"], slices=["place"], resampling=Resampling(60))


@pytest.fixture
def result(evaluation):
    return evaluation.to_json()


def test_two_models_are_compared_overall_and_by_slice(result, rankers):
    columns, _ = impressions()
    whole = result["parts"][0]
    assert (whole["slicing"], whole["impressions"], whole["users"]) == ("all", 3000, 60)
    assert result["models"]["against"]["path"] == str(rankers["bad"])
    auc = {name: metrics["auc"]["value"] for name, metrics in whole["models"].items()}
    assert whole["differences"]["model"]["auc"]["value"] == pytest.approx(auc["model"] - auc["against"])
    assert auc["model"] > auc["against"] + 0.05
    assert whole["models"]["model"]["ndcg@5"]["value"] > 0
    assert result["notes"] == []
    by_name = {(part["slicing"], part["name"]): part for part in result["parts"]}
    slicings = list(dict.fromkeys(slicing for slicing, _ in by_name))
    assert slicings == ["all", "item_frequency", "items", "users", "place"]
    assert by_name["items", "new"]["impressions"] == (columns["item_count"] == 0).sum()
    assert by_name["users", "new"]["impressions"] == (columns["user_count"] == 0).sum()
    rows = np.array(columns["feature.place"].to_pylist()) == "side"
    scores = Predictions.open(rankers["good"]).scores
    assert by_name["place", "side"]["models"]["model"]["auc"]["value"] == pytest.approx(
        roc_auc_score(columns["label"][rows], scores[rows]))


def test_the_json_contains_plain_numbers_and_the_resampling(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["resampling"] == {"unit": "user", "replicates": 60, "confidence": 0.95, "seed": 17,
                                    "interval": "percentile"}


def test_a_feature_with_many_values_is_sliced_by_the_largest(tmp_path):
    columns, logits = impressions(rows=800)
    codes = np.minimum(np.random.default_rng(0).geometric(0.1, 800), 39).astype(np.int32)
    columns["feature.place"] = pa.DictionaryArray.from_arrays(codes, [f"v{code}" for code in range(40)])
    parts = evaluate(write_ranker(tmp_path / "r", columns, 1 / (1 + np.exp(-logits))), slices=["place"],
                     resampling=Resampling(5)).to_json()["parts"]
    sizes = [part["impressions"] for part in parts if part["slicing"] == "place"]
    assert len(sizes) == 21
    assert sizes[:20] == sorted(np.bincount(codes), reverse=True)[:20]
    assert sum(sizes) == 800
    assert parts[-1]["name"] == f"{len(set(codes)) - 20} others"


def test_missing_columns_are_explained_in_notes(tmp_path):
    columns, logits = impressions(rows=100)
    del columns["request"], columns["item_count"], columns["user_count"], columns["feature.place"]
    ranker = write_ranker(tmp_path / "old", columns, 1 / (1 + np.exp(-logits)))
    result = evaluate(ranker, resampling=Resampling(5)).to_json()
    assert len(result["notes"]) == 2
    assert "schema.request" in result["notes"][0]
    assert len(result["parts"]) == 1


def test_no_impressions_at_all_are_refused(tmp_path):
    columns, _ = impressions(rows=0)
    with pytest.raises(UserError, match="scored no impressions"):
        evaluate(write_ranker(tmp_path / "empty", columns, np.zeros(0)))


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_the_table_fits_the_terminal_and_shows_every_number(evaluation, width):
    evaluation.models["model"]["path"] = "model_path"
    result = evaluation.to_json()
    output = io.StringIO()
    show_evaluation(evaluation, Console(file=output, width=width))
    text = output.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    whole = result["parts"][0]
    for value in (whole["models"]["model"]["auc"]["value"], whole["models"]["against"]["log_loss"]["low"],
                  whole["models"]["model"]["ndcg@10"]["high"]):
        assert f"{value:.4f}" in text
    assert f"{whole['differences']['model']['auc']['value']:+.4f}" in text
    for part in result["parts"][1:]:
        assert part["name"] in text
        for name in ("auc", "log_loss"):
            assert f"{part['differences']['model'][name]['low']:+.4f}" in text


def test_one_model_alone_has_no_differences(rankers):
    evaluation = evaluate(rankers["bad"], resampling=Resampling(20))
    output = io.StringIO()
    show_evaluation(evaluation, Console(file=output, width=80))
    assert evaluation.parts[0].differences == {}
    assert "diff" not in output.getvalue()
    assert "against" not in output.getvalue()


def test_the_command_prints_the_table_and_writes_json(rankers, tmp_path, monkeypatch, capsys):
    path = tmp_path / "result.json"
    code, output, errors = run_command(
        monkeypatch, capsys, "evaluate", rankers["good"], "--against", rankers["bad"], "--slice", "place",
        "--replicates", 30, "--confidence", 0.9, "--json", path)
    assert (code, errors) == (0, "")
    written = json.loads(path.read_text())
    assert written["resampling"]["confidence"] == 0.9
    assert f"{written['parts'][0]['models']['model']['auc']['value']:.4f}" in output
    assert "90 % intervals from 30 draws of users" in output
    assert "(unknown)" in output


@pytest.mark.parametrize(("arguments", "message"), [
    (["absent"], "ranker folder 'absent' does not exist"),
    (["good", "--against", "absent"], "ranker folder 'absent' does not exist"),
    (["good", "--slice", "brand"], "cannot slice"),
    (["good", "--split", "train"], "no predictions of split 'train'"),
    (["good", "--confidence", "95"], "--confidence 95 is not between 0 and 1"),
    (["good", "--json", "absent/file.json"], "output 'absent/file.json' cannot be written"),
])
def test_mistakes_are_one_line_and_exit_code_two(rankers, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, output, errors = run_command(monkeypatch, capsys, "evaluate", *arguments)
    assert code == 2
    assert output == ""
    assert "error: " in errors
    assert message in " ".join(errors.split())


def test_equal_labels_are_explained_in_a_note(tmp_path):
    columns, _ = impressions(rows=50)
    ranker = write_ranker(tmp_path / "one", columns | {"label": np.ones(50, np.float32)}, np.full(50, 0.4))
    result = evaluate(ranker, resampling=Resampling(5)).to_json()
    assert result["parts"][0]["models"]["model"]["auc"]["value"] is None
    assert result["notes"] == ["every label is 1: metrics that order impressions, such as AUC, are not defined"]


def test_the_interval_of_a_difference_decides_its_colour(evaluation):
    """Good minus bad: AUC rises and log loss falls, both better; calibration has no better side."""
    output = io.StringIO()
    show_evaluation(evaluation, Console(file=output, width=200, force_terminal=True, color_system="standard"))
    line_of = {line.replace("\x1b[0m", "").split(" ")[0]: line for line in output.getvalue().splitlines()}
    differences = evaluation.parts[0].differences["model"]
    assert differences["auc"]["low"] > 0 > differences["log_loss"]["high"]
    for name, word in (("auc", "AUC"), ("log_loss", "log")):
        assert f"\x1b[32m{differences[name]['value']:+.4f}" in line_of[word]


def test_differences_are_the_first_model_minus_the_second(rankers):
    forward, backward = (evaluate(*(rankers[name] for name in names), resampling=Resampling(20)).parts[0].differences
                         for names in (("good", "bad"), ("bad", "good")))
    assert forward["model"]["auc"]["value"] == pytest.approx(-backward["model"]["auc"]["value"])
    assert forward["model"]["auc"]["value"] > 0
    assert list(forward) == ["model"]


def test_a_slicing_that_is_requested_and_built_in_appears_once(rankers):
    parts = evaluate(rankers["good"], slices=["users", "place", "place"], resampling=Resampling(2)).parts
    names = [(result.part.slicing, result.part.name) for result in parts]
    assert len(names) == len(set(names))
    assert sum(slicing == "place" for slicing, _ in names) == 3


def test_a_further_label_is_evaluated_with_its_own_scores(tmp_path):
    columns, logits = impressions(rows=300)
    liked = (np.random.default_rng(3).random(300) < 0.3).astype(np.float32)
    ranker = write_ranker(tmp_path / "r", columns | {"label_liked": liked, "score_liked": liked * 0.8 + 0.1}, logits)
    evaluation = evaluate(ranker, label="liked", resampling=Resampling(2))
    assert evaluation.parts[0].models["model"]["auc"]["value"] == 1.0
    assert evaluation.parts[0].part.positives == liked.sum()
    assert evaluation.to_json()["label"] == "liked"
