"""Every job on every engine: the same bytes in this process, in worker processes and with a job service.

Translation for Dataflow needs neither an account nor a network.
"""

import json

import pytest
import yaml
from folder_contents import folder_contents
from planted import planted_config as planted_tree

from beam_pipelines import build_dataset, build_impressions, build_pairs, build_vocabulary, validate_examples
from beam_pipelines.build_dataset import build

MULTI_PROCESSING = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
DATAFLOW = ["--runner=DataflowRunner", "--dry_run=True", "--no_auth", "--project=my-proj", "--region=us-central1",
            "--temp_location=gs://my-bucket/tmp"]



@pytest.fixture
def engine(request) -> list[str]:
    """Options of the engine that a test names."""
    return MULTI_PROCESSING if request.param == "multi_processing" else request.getfixturevalue(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["multi_processing", "portable"], indirect=True)
def test_the_dataset_has_the_same_bytes_as_in_process(engine, tiny_dataset, planted_config, planted_logs, tmp_path):
    build(planted_config, planted_logs, tmp_path / "again", engine)
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["multi_processing", "portable"], indirect=True)
def test_the_validation_report_is_the_same(engine, tiny_dataset, tmp_path):
    reports = []
    for options in ([], engine):
        report = tmp_path / "report.json"
        validate_examples.run([f"--dataset={tiny_dataset.folder}", f"--report={report}", *options])
        reports.append(json.loads(report.read_text()))
    assert reports[0]["splits"]["dataset"]["pairs/train"]["examples"] == 11130
    assert reports[0] == reports[1]


@pytest.fixture
def config_file(tmp_path) -> str:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_tree()))
    return str(tmp_path / "config.yaml")


def _steps(result) -> set[str]:
    """Names of all transforms in a translated pipeline."""
    return {transform.unique_name for transform in result.job.proto_pipeline.components.transforms.values()}


@pytest.mark.parametrize(("job", "arguments", "step"), [
    (build_vocabulary, [], "CountValues"), (build_pairs, ["--vocabulary=gs://my-bucket/vocabulary"], "WritePairs"),
    (build_impressions, ["--vocabulary=gs://my-bucket/vocabulary"], "WriteImpressions"),
    (build_dataset, [], "WriteImpressions"),
])
def test_translation_for_dataflow(job, arguments, step, config_file):
    """The folders do not exist: translation never opens them."""
    pytest.importorskip("google.cloud.dataflow", reason="needs apache-beam[gcp]")
    result = job.run([f"--config={config_file}", "--raw=gs://my-bucket/raw", "--output=gs://my-bucket/out", *arguments,
                      *DATAFLOW])
    assert any(name == step or name.startswith(f"{step}/") for name in _steps(result))


def test_translation_of_the_validation_for_dataflow(tiny_dataset, tmp_path):
    pytest.importorskip("google.cloud.dataflow", reason="needs apache-beam[gcp]")
    result = validate_examples.run([f"--dataset={tiny_dataset.folder}", f"--report={tmp_path / 'report.json'}",
                                    *DATAFLOW])
    assert "MeasureFile" in _steps(result)
    assert list(tmp_path.iterdir()) == []
