"""The page of a race, from a result written by hand."""

import re

import pytest

from tfrs_pretrain.reporting.tuning_page import write_page

ENTRY = {"values": [0.5, 0.52], "kept": True}
RESULT = {
    "dataset": "runs/<data>", "arm": "warm_start", "metric": "log_loss", "minutes": 2.5, "seconds": 130.0,
    "work_seconds": {"stage_one": 61.0, "stage_two": 100.0}, "settings": {"pretraining.epochs": 3},
    "decision": {"chosen": "longer", "best": "longer", "reason": "longer is 0.0123 better", "rung": 2, "seeds": [7, 8],
                 "gain": 0.0123, "standard_error": 0.005, "over_seeds": 0.003, "over_users": 0.004},
    "candidates": {
        "default": {"settings": {}, "outcome": "default", "seeds": 2, "shares_stage_one": True,
                    "seconds": {"stage_one": 30.0, "stage_two": 20.0}},
        "longer": {"settings": {"pretraining.epochs": 3}, "outcome": "chosen", "seeds": 2, "shares_stage_one": False,
                   "seconds": {"stage_one": 31.0, "stage_two": 21.0}},
        "late": {"settings": {"arm.transfer": "scratch"}, "outcome": "left out of rung 1: no time left", "seeds": 0,
                 "shares_stage_one": False, "seconds": {"stage_one": 0.0, "stage_two": 0.0}}},
    "rungs": [
        {"seeds": [7], "joined": [], "left_out": {"late": "no time left"}, "entries": [
            {"name": "longer", "mean": 0.49, "gain": 0.01, **ENTRY},
            {"name": "default", "mean": 0.5, "gain": 0.0, **ENTRY}]},
        {"seeds": [7, 8], "joined": [], "left_out": {}, "entries": [
            {"name": "longer", "mean": 0.4777, "gain": 0.0123, **ENTRY},
            {"name": "default", "mean": 0.49, "gain": 0.0, **ENTRY}]}],
    "validation": {"examples": 12345, "label_rate": 0.25, "shards": None}}


def text_of(page):
    """Return the words of the page without scripts, styles and tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.fixture
def page(tmp_path):
    write_page(tmp_path / "tune.html", RESULT, "name: <shop>\n")
    return (tmp_path / "tune.html").read_text()


def test_the_page_shows_every_rung_what_it_cost_and_what_was_left_out(page):
    text = text_of(page)
    assert "Longer is 0.0123 better." in text
    assert "Rung 1: seed 7" in text
    assert "Rung 2: seeds 7, 8" in text
    assert "longer 0.4777 +0.0123 yes 0.5000 · 0.5200" in text
    assert "Left out: late (no time left)." in text
    assert "late transfer scratch left out of rung 1: no time left 0" in text
    assert "2 min 10 s of 2.5 min" in text
    assert "12,345 impressions, 25.0 % with label 1; test impressions were not read" in text
    assert "name: &lt;shop&gt;" in text
    assert "0.0050 combines the variation between seeds ( 0.0030 )" in text.replace("(0.0030)", "( 0.0030 )")


def test_the_page_loads_nothing_and_has_the_plot(page):
    assert 'id="plot-gains"' in page
    assert "Plotly" in page
    assert not re.findall(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(?!data:)', page)
    assert "runs/&lt;data&gt;" in page


def test_a_race_without_comparison_has_a_page_without_plot(tmp_path):
    decision = {"chosen": "default", "best": None, "reason": "no candidate was compared"}
    rungs = [{"seeds": [7], "joined": [], "entries": [], "left_out": {"default": "no time left"}}]
    write_page(tmp_path / "tune.html", RESULT | {"decision": decision, "rungs": rungs}, "")
    text = text_of((tmp_path / "tune.html").read_text())
    assert "nothing was compared" in text
    assert 'id="plot-gains"' not in (tmp_path / "tune.html").read_text()
