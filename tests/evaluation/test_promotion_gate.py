"""The promotion gate: which candidates pass, which are refused, and the numbers of each check."""

import io
import json

import numpy as np
import pytest
import yaml
from command_line import run_command
from planted_predictions import impressions, write_ranker
from rich.console import Console

from tfrs_pretrain.config.gate import Gate, load_gate
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.evaluation.promotion import promote
from tfrs_pretrain.evaluation.show import show_promotion


def gate(**requirements):
    return Gate.model_validate({"replicates": 100} | requirements)


def decide(candidate, requirements, live=None):
    """The JSON of a promotion."""
    return promote(candidate, requirements, live).to_json()


def passed_checks(verdict):
    """(slice, metric, kind) of each check -> whether it passed."""
    return {(check["slice"], check["metric"], check["kind"]): check["passed"] for check in verdict["checks"]}


def test_limits_are_compared_with_the_candidates_values(rankers):
    value = evaluate(rankers["good"], resampling=Resampling(5)).parts[0].models["model"]
    auc, loss = value["auc"]["value"], value["log_loss"]["value"]
    required = {"auc": {"min": auc - 1e-6, "max": auc + 1e-6}, "log_loss": {"max": loss - 1e-6}}
    verdict = decide(rankers["good"], gate(thresholds=required, min_impressions=3000), None)
    assert passed_checks(verdict) == {("all", "impressions", "min_impressions"): True, ("all", "auc", "min"): True,
                               ("all", "auc", "max"): True, ("all", "log_loss", "max"): False}
    assert verdict["verdict"] == "refused"
    check = next(check for check in verdict["checks"] if check["metric"] == "log_loss")
    assert check["value"] == pytest.approx(loss)
    assert check["low"] < loss < check["high"]
    assert check["limit"] == pytest.approx(loss - 1e-6)
    del required["log_loss"]
    assert decide(rankers["good"], gate(thresholds=required), None)["verdict"] == "promoted"


def test_too_few_impressions_refuse(rankers):
    verdict = decide(rankers["good"], gate(thresholds={"auc": {"min": 0.1}}, min_impressions=3001), None)
    assert passed_checks(verdict)["all", "impressions", "min_impressions"] is False
    assert verdict["verdict"] == "refused"


def test_a_worse_model_is_refused_and_a_better_one_is_not(rankers):
    required = gate(non_inferior={"auc": 0.002, "log_loss": 0.002, "ndcg@5": 0.0})
    assert decide(rankers["bad"], required, rankers["good"])["verdict"] == "refused"
    verdict = decide(rankers["good"], required, rankers["bad"])
    assert verdict["verdict"] == "promoted"
    assert verdict["first"] is False


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_the_interval_must_stay_within_the_margin(rankers, metric):
    """The margin that just lets the worse model through is the worse end of its interval."""
    against = evaluate(rankers["bad"], rankers["good"], resampling=Resampling(100)).parts[0]
    difference = against.differences["model"][metric]
    worst = -difference["low"] if metric == "auc" else difference["high"]
    assert worst > abs(difference["value"]) > 0
    for margin, passed in ((worst + 1e-9, True), (worst - 1e-9, False)):
        verdict = decide(rankers["bad"], gate(non_inferior={metric: margin}), rankers["good"])
        assert passed_checks(verdict)["all", metric, "non_inferior"] is passed
        check = verdict["checks"][-1]
        assert (check["value"], check["low"], check["high"]) == (
            difference["value"], difference["low"], difference["high"])


def test_the_same_model_is_not_inferior_to_itself(rankers):
    verdict = decide(rankers["bad"], gate(non_inferior={"auc": 0.0, "log_loss": 0.0}), rankers["bad"])
    assert verdict["verdict"] == "promoted"


def test_slices_are_asked_by_name(rankers, tmp_path):
    """A candidate that is better on the whole and broken on new items."""
    columns, logits = impressions()
    new = columns["item_count"] == 0
    broken = write_ranker(tmp_path / "broken", columns, 1 / (1 + np.exp(-np.where(new, -logits, logits))))
    required = {"non_inferior": {"log_loss": 0.2}, "slices": {
        "items=new": {"thresholds": {"auc": {"min": 0.6}}, "non_inferior": {"auc": 0.05}},
        "items=known": {"non_inferior": {"auc": 0.0}}, "place=side": {"min_impressions": 900}}}
    verdict = decide(broken, gate(**required), rankers["bad"])
    assert passed_checks(verdict) == {
        ("all", "impressions", "min_impressions"): True, ("all", "log_loss", "non_inferior"): True,
        ("items=new", "impressions", "min_impressions"): True, ("items=new", "auc", "min"): False,
        ("items=new", "auc", "non_inferior"): False, ("items=known", "impressions", "min_impressions"): True,
        ("items=known", "auc", "non_inferior"): True, ("place=side", "impressions", "min_impressions"): True}
    assert verdict["verdict"] == "refused"


def test_a_slice_without_impressions_refuses_and_one_that_cannot_be_is_a_mistake(rankers):
    required = {"slices": {"place=roof": {"thresholds": {"auc": {"min": 0.1}}}}}
    assert passed_checks(decide(rankers["good"], gate(**required), None)) == {
        ("all", "impressions", "min_impressions"): True, ("place=roof", "impressions", "min_impressions"): False,
        ("place=roof", "auc", "min"): False}
    for name, message in (("items=old", r"no slice items=old: choose from \['new', 'known'\]"),
                          ("brand=x", "cannot slice")):
        with pytest.raises(UserError, match=message):
            promote(rankers["good"], gate(slices={name: {"thresholds": {"auc": {"min": 0.1}}}}), None)


def test_a_metric_that_is_undefined_refuses(tmp_path):
    columns, _ = impressions(rows=50)
    folder = write_ranker(tmp_path / "r", columns | {"label": np.zeros(50, np.float32)}, np.full(50, 0.1))
    required = gate(thresholds={"auc": {"min": 0.0}}, non_inferior={"auc": 1.0})
    assert passed_checks(decide(folder, required, folder)) == {
        ("all", "impressions", "min_impressions"): True, ("all", "auc", "min"): False,
        ("all", "auc", "non_inferior"): False}


def test_limits_see_all_that_the_candidate_scored_and_non_inferiority_what_both_did(rankers, tmp_path):
    columns, logits = impressions()
    part = {name: values[:1000] for name, values in columns.items()}
    live = write_ranker(tmp_path / "live", part, 1 / (1 + np.exp(-logits[:1000])))
    required = gate(thresholds={"auc": {"min": 0.1}}, non_inferior={"auc": 1.0})
    verdict = decide(rankers["good"], required, live)
    assert verdict["checks"][0]["value"] == 3000
    assert verdict["checks"][-1]["shared_impressions"] == 1000
    assert "compared on the 1,000 impressions that both scored" in " ".join(verdict["notes"])
    # What both scored must be enough, too.
    verdict = decide(rankers["good"], gate(min_impressions=1001, **required.model_dump(
        include={"thresholds", "non_inferior"}, exclude_none=True)), live)
    assert passed_checks(verdict)["all", "auc", "non_inferior"] is False


def test_a_served_version_is_judged_by_its_ranker_and_that_is_said(rankers, exported):
    verdict = decide(rankers["good"], gate(non_inferior={"auc": 0.0}), exported.parent)
    assert verdict["verdict"] == "promoted"
    assert verdict["models"]["live"]["version"] == 12
    assert "live is a served version: evaluated by the predictions" in verdict["notes"][-1]


@pytest.fixture
def gate_file(tmp_path):
    def write(**required):
        path = tmp_path / "gate.yaml"
        path.write_text(yaml.safe_dump({"replicates": 100} | required))
        return path

    return write


def test_exit_codes_and_the_verdict_file(rankers, gate_file, monkeypatch, capsys):
    path = gate_file(non_inferior={"auc": 0.01}, thresholds={"auc": {"min": 0.2}})
    good, bad = rankers["good"], rankers["bad"]
    code, output, errors = run_command(monkeypatch, capsys, "promote", good, "--live", bad, "--gate", path)
    assert (code, errors) == (0, "")
    assert "promoted" in output
    assert json.loads((good.parent / "good.promotion.json").read_text())["verdict"] == "promoted"
    code, output, errors = run_command(monkeypatch, capsys, "promote", bad, "--live", good, "--gate", path, "--json",
                               good.parent / "v.json")
    assert (code, errors) == (3, "")
    assert "refused: 1 of 3 checks failed" in output
    assert json.loads((good.parent / "v.json").read_text())["verdict"] == "refused"
    assert not (good.parent / "bad.promotion.json").exists()


def test_the_first_promotion_is_asked_for_by_name(rankers, gate_file, monkeypatch, capsys):
    path = gate_file(non_inferior={"auc": 0.01}, thresholds={"auc": {"min": 0.2}})
    code, output, _ = run_command(monkeypatch, capsys, "promote", rankers["good"], "--gate", path, "--first")
    assert code == 0
    assert "1 could not be checked, because there is no live model" in " ".join(output.split())
    verdict = json.loads((rankers["good"].parent / "good.promotion.json").read_text())
    assert verdict["first"] is True
    assert passed_checks(verdict)["all", "auc", "non_inferior"] is None
    for arguments in ([], ["--first", "--live", rankers["bad"]]):
        code, _, errors = run_command(monkeypatch, capsys, "promote", rankers["good"], "--gate", path, *arguments)
        assert code == 2
        assert "either --live MODEL, or --first" in errors


@pytest.mark.parametrize(("required", "message"), [
    ({}, "a gate without thresholds and non_inferior accepts everything"),
    ({"thresholds": {"acc": {"min": 1}}}, "thresholds: unknown metric 'acc', choose from ['auc'"),
    ({"thresholds": {"auc": {}}}, "thresholds.auc: a threshold needs min, max or both"),
    ({"thresholds": {"auc": {"min": 1, "max": 0.5}}}, "min 1 is above max 0.5"),
    ({"thresholds": {"auc": {"mim": 1}}}, "unknown key 'thresholds.auc.mim'; the keys are"),
    ({"non_inferior": {"calibration": 0.1}}, "calibration has no better direction"),
    ({"non_inferior": {"auc": -0.1}}, "the margin of auc must be finite and at least 0"),
    ({"slices": {"new": {"thresholds": {"auc": {"min": 0.5}}}}}, "slice 'new' must be written as <name>=<value>"),
    ({"thresholds": {"auc": {"min": 0.5}}, "replicates": 10}, "replicates: Input should be greater"),
])
def test_gates_that_make_no_sense_are_refused_in_one_line(tmp_path, required, message):
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(required))
    with pytest.raises(UserError) as refused:
        load_gate(str(path))
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"gate {str(path)!r}: ")
    assert "\n" not in str(refused.value)


def test_a_gate_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gate 'absent.yaml' cannot be read .*: give a YAML file$"):
        load_gate("absent.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"gate .* must be a mapping"):
        load_gate(str(tmp_path / "list.yaml"))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_fits_the_terminal_and_shows_every_number(rankers, width):
    required = gate(thresholds={"auc": {"min": 0.2}, "calibration": {"min": 0.5, "max": 2.0}},
                    non_inferior={"auc": 0.01}, slices={"items=new": {"non_inferior": {"log_loss": 0.5}}})
    promotion = promote(rankers["bad"], required, rankers["good"])
    verdict = promotion.to_json()
    for source in promotion.models.values():
        source["path"] = "short"
    output = io.StringIO()
    show_promotion(promotion, Console(file=output, width=width))
    text = output.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("✗") == sum(check["passed"] is False for check in verdict["checks"]) == 1
    for check in verdict["checks"]:
        value = check["value"]
        sign = "+" if check["kind"] == "non_inferior" else ""
        assert (f"{value:,}" if check["kind"] == "min_impressions" else f"{value:{sign}.4f}") in text
    assert "refused: 1 of" in text


def test_the_verdict_is_written_beside_the_candidate_by_default(rankers):
    promotion = promote(rankers["good"], gate(thresholds={"auc": {"min": 0.1}}), None)
    assert promotion.default_path == rankers["good"].parent / "good.promotion.json"
    promotion.write(promotion.default_path)
    assert json.loads(promotion.default_path.read_text()) == promotion.to_json()
    assert (promotion.is_first, promotion.to_json()["first"]) == (True, True)


def test_thresholds_include_their_ends(rankers):
    value = evaluate(rankers["good"], resampling=Resampling(5)).parts[0].models["model"]["auc"]["value"]
    for kind in ("min", "max"):
        verdict = decide(rankers["good"], gate(thresholds={"auc": {kind: value}}))
        assert passed_checks(verdict)["all", "auc", kind] is True
