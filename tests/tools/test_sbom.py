"""Bills of materials, validated against the schema of CycloneDX."""

import hashlib

import pytest
from packaging.requirements import Requirement

from tfrs_pretrain.cli import app

pytestmark = pytest.mark.tools


@pytest.fixture
def bill(version, tmp_path, as_json):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from typer.testing import CliRunner

    path = tmp_path / "bill.json"
    result = CliRunner().invoke(app, ["sbom", "--version", str(version), "--output", str(path)])
    assert result.exit_code == 0, result.output
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    return as_json(path)


def test_the_bill_names_what_is_installed_with_its_version(bill):
    import numpy
    import pydantic

    found = {component["name"]: component for component in bill["components"]}
    assert bill["metadata"]["component"]["name"] == "tfrs-pretrain"
    assert found["numpy"]["version"] == numpy.__version__
    assert found["pydantic-core"]["purl"] == f"pkg:pypi/pydantic-core@{found['pydantic-core']['version']}"
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    assert f"pydantic-core=={found['pydantic-core']['version']}" in needs[f"pydantic=={pydantic.VERSION}"]


def test_the_model_has_the_digests_of_its_files(bill, version):
    [model] = [component for component in bill["components"] if component["type"] == "machine-learning-model"]
    assert (model["name"], model["version"]) == ("ranker", "3")
    files = {file["name"]: file["hashes"][0]["content"] for file in model["components"]}
    assert files["saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()
    assert {"variables/variables.data-00000-of-00001", "assets.extra/manifest.json"} < set(files)
    assert {entry["name"]: entry["value"] for entry in model["properties"]}["tfrs-pretrain:dataset_digest"] == "2"


def test_the_bill_is_independent_of_extras_of_others(monkeypatch):
    """Only this package's extras are followed: pandas[test] is no part of it."""
    from tfrs_pretrain.serving import sbom

    monkeypatch.setattr(sbom.metadata, "requires", lambda name: {
        "tfrs-pretrain": ["numpy", "pandas; extra == 'a'"], "pandas": ["pydantic; extra == 'test'"]}.get(name, []))
    monkeypatch.setattr(sbom.metadata, "metadata", lambda name: _Metadata())
    assert '"pandas"' in (text := sbom.bill_of_materials())
    assert '"pydantic"' not in text
    assert Requirement("a; extra == 'a'").marker


class _Metadata:
    def get_all(self, key):
        return ["a"]
