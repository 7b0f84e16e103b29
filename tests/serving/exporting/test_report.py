"""The report of an export as JSON and as sentences."""

import json

import pytest
from literal_report import COST, literal_report

from tfrs_pretrain.serving.exporting.memory import MemoryNeed
from tfrs_pretrain.serving.exporting.quantization import MetricChange, QuantizationCost
from tfrs_pretrain.serving.exporting.report import ExportedVersion, SignatureCheck


def test_the_json_is_plain_and_has_the_manifests_keys():
    content = literal_report().to_json()
    assert json.loads(json.dumps(content)) == content
    assert sorted(content) == [
        "arm", "bytes", "check", "classes", "config", "dataset_digest", "inputs", "memory", "name", "operations",
        "outputs", "ranker", "ranker_digest", "signatures", "table_cost", "tables", "vocabularies", "windows"]
    assert content["memory"] == {"version_bytes": 3_000_000, "reload_bytes": 6_000_000, "budget_bytes": None}
    assert content["check"] == {
        "impressions": 32, "tolerance": 1e-5, "largest_difference": 2.5e-6, "signatures": {
            "classify": {"requests": 2, "rows": 56, "largest_difference": 1e-7},
            "rank": {"requests": 9, "rows": 99, "largest_difference": 2.5e-6}}}
    assert content["table_cost"]["auc"] == {"trained": 0.75, "served": 0.7499, "cost": pytest.approx(-0.0001)}
    assert literal_report(table_cost=None).to_json()["table_cost"] is None


def test_a_version_adds_its_number_and_path(tmp_path):
    content = ExportedVersion(tmp_path / "7", 7, literal_report()).to_json()
    assert (content["version"], content["path"]) == (7, str(tmp_path / "7"))
    assert {name: value for name, value in content.items() if name not in ("version", "path")} == (
        literal_report().to_json())


def test_the_summary_has_the_numbers_of_every_check():
    check, cost, size = literal_report().summary()
    assert check == ("Checked in the session loader: 11 golden requests to 2 signatures (classify, rank); largest "
                     "difference to the trained model 2.5e-06, allowed 1e-05.")
    assert cost == ("Tables are quantized: AUC -0.000100, log loss +0.000020, largest difference of a score 1.3e-02, "
                    "on 1,234 validation impressions.")
    assert size == ("Size: 2.5 MB on disk; memory: 3.0 MB per version, 6.0 MB during a hot reload (no budget set).")


def test_the_summary_without_quantization_and_with_a_budget():
    summary = literal_report(table_cost=None, memory=MemoryNeed(1, 2, 7_500_000)).summary()
    assert summary[1] == "Tables are served as trained."
    assert summary[2].endswith("(budget 7.5 MB).")


def test_an_undefined_metric_has_no_cost():
    change = MetricChange(None, 0.5)
    assert change.to_json() == {"trained": None, "served": 0.5, "cost": None}
    cost = QuantizationCost("validation", 3, 0.0, change, COST.log_loss)
    assert "AUC undefined, log loss +0.000020" in cost.sentence()


def test_signature_checks_add_up():
    check = SignatureCheck().with_request(3, 0.5).with_request(4, 0.25)
    assert check == SignatureCheck(requests=2, rows=7, largest_difference=0.5)
