"""The model card of literal results."""

import json

from literal_report import literal_report

from tfrs_pretrain.serving.exporting.model_card import LIMITATIONS, CardEvaluation, LabelMetrics, ModelCard

RANKER = {"code_version": "1.2.3", "transfer": {"user": "frozen"}}


def estimate(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def part(slicing, name, impressions):
    return {"slicing": slicing, "name": name, "impressions": impressions, "positives": 1, "users": 2}


EVALUATION = CardEvaluation("test", {"label": [
    LabelMetrics(part("all", "all", 12345), {"auc": estimate(0.75, 0.7, 0.8), "log_loss": estimate(0.5)}),
    LabelMetrics(part("items", "new", 7), {"auc": estimate(None), "gauc": estimate(0.1, 0.05, 0.15)})]})
CARD = ModelCard(literal_report(), RANKER, EVALUATION)


def test_the_page_shows_metrics_with_intervals_and_dashes_where_undefined():
    page = CARD.to_markdown(4).splitlines()
    assert page[0] == "# ranker, version 4"
    assert "Arm `scratch`, transfer {\"user\": \"frozen\"}. Probability of: `clicked`." in page
    assert "## label, test impressions" in page
    assert "| slice | impressions | AUC | log loss | GAUC | calibration |" in page
    assert "| all | 12,345 | 0.7500 [0.7000, 0.8000] | 0.5000 | - | - |" in page
    assert "| items new | 7 | - | - | 0.1000 [0.0500, 0.1500] | - |" in page


def test_the_page_lists_windows_tables_checks_and_limitations():
    page = CARD.to_markdown(4).splitlines()
    assert "| train | 2024-01-01 | 2024-02-01 |" in page
    assert not [line for line in page if "gap" in line]  # a number of days, no window
    assert "| item | 12,345 | 8 | int8 | 0.15 |" in page
    assert all(sentence in page for sentence in literal_report().summary())
    assert [line for line in page if line.startswith("- ")] == [f"- {each}" for each in LIMITATIONS]


def test_the_json_names_how_the_metrics_were_obtained():
    content = CARD.to_json()
    assert content["judged"]["split"] == "test"
    assert (content["judged"]["unit"], content["judged"]["replicates"]) == ("user", 100)
    assert content["judged"]["labels"]["label"][1] == part("items", "new", 7) | {
        "metrics": {"auc": estimate(None), "gauc": estimate(0.1, 0.05, 0.15)}}
    assert (content["code_version"], content["labels"]) == ("1.2.3", ["clicked"])
    assert content["table_cost"] == literal_report().table_cost.to_json()


def test_both_files_are_written(tmp_path):
    CARD.write(tmp_path, 9)
    assert json.loads((tmp_path / "model_card.json").read_text()) == CARD.to_json() | {"version": 9}
    assert (tmp_path / "model_card.md").read_text() == CARD.to_markdown(9)
