"""The deployment files match the code: parameters, versions, images, launchers."""

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import apache_beam
import pytest
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from planted import planted_config as planted_tree

from beam_pipelines import build_dataset, build_pairs, build_vocabulary
from beam_pipelines.launching.command_line import JOB_OPTIONS
from beam_pipelines.launching.output_folder import UNFINISHED_MARKER
from tfrs_pretrain.errors import UserError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
METADATA = json.loads((DEPLOY / "dataflow" / "metadata.json").read_text())
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
REQUIRED = {"job", "config", "raw", "output", "sdk_container_image"}


@pytest.fixture(scope="module")
def template():
    spec = importlib.util.spec_from_file_location("template_main", DEPLOY / "dataflow" / "main.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_parameters_are_the_options_of_the_jobs():
    parser = argparse.ArgumentParser(add_help=False)
    for group in JOB_OPTIONS:
        group._add_argparse_args(parser)
    options = {action.dest for action in parser._actions}
    # --finish runs no pipeline; job and image are parameters of the template only.
    assert set(PARAMETERS) == (options - {"finish"}) | {"job", "sdk_container_image"}
    assert {name for name, parameter in PARAMETERS.items() if not parameter.get("isOptional")} == REQUIRED
    assert "sdk_container_image" in PipelineOptions([]).get_all_options()


def test_parameters_are_described_and_their_patterns_work(template):
    assert all(parameter["label"] and parameter["helpText"] for parameter in PARAMETERS.values())
    good = {"job": "build_pairs", "raw": "gs://b/raw", "set": "dataset.shards=2", "overwrite": "true", "buckets": "16"}
    bad = {"job": "build_dataset", "raw": "/raw", "set": "shards", "overwrite": "yes", "buckets": "0"}
    for values, expected in ((good, True), (bad, False)):
        for name, value in values.items():
            assert all(bool(re.fullmatch(pattern, value)) == expected for pattern in PARAMETERS[name]["regexes"]), name
    assert [option["value"] for option in PARAMETERS["job"]["enumOptions"]] == list(template.JOBS)


def test_the_template_passes_the_other_arguments_to_the_job(template, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(build_pairs, "run", ran.append)
    assert template.main(["--job=build_pairs", "--config=c", "--overwrite=true", "--buckets=3"]) == 0
    assert template.main(["--raw=r", "--job=build_pairs", "--overwrite=false"]) == 0
    assert ran == [["--config=c", "--overwrite", "--buckets=3"], ["--raw=r"]]
    assert template.main(["--job=build_vocabulary"]) == 2
    assert capsys.readouterr().err == "error: --config is missing: run the job with --help for a list of options\n"


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")
def test_gcloud_accepts_the_metadata():
    done = subprocess.run(["gcloud", "dataflow", "flex-template", "build", "gs://my-bucket/template.json",
                           "--print-only", "--image=gcr.io/my-project/image", "--sdk-language=PYTHON",
                           "--project=my-project",
                           f"--metadata-file={DEPLOY / 'dataflow' / 'metadata.json'}"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout[done.stdout.index("{"):done.stdout.rindex("}") + 1])
    assert {parameter["name"] for parameter in printed["metadata"]["parameters"]} == set(PARAMETERS)


@pytest.fixture
def arguments(planted_logs, tmp_path) -> list[str]:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_tree()))
    return [f"--config={tmp_path / 'config.yaml'}", f"--raw={planted_logs}", f"--output={tmp_path / 'out'}"]


def test_a_job_launched_from_a_template_is_finished_later(arguments, planted_logs, tmp_path):
    """The in-process runner replaces Dataflow, which runs the pipeline after the launcher has ended."""
    build_vocabulary.run(arguments)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    build_vocabulary.run([*arguments, "--overwrite", "--template_location=gs://my-bucket/launch"])
    assert (tmp_path / "out" / UNFINISHED_MARKER).exists()
    assert not (tmp_path / "out" / "dataset_info.json").exists()
    assert build_vocabulary.run([*arguments, "--finish"]).state == "DONE"
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == whole
    with pytest.raises(UserError, match="has no unfinished job: use --finish after a job"):
        build_vocabulary.run([*arguments, "--finish"])


def test_a_template_contains_one_pipeline(arguments):
    with pytest.raises(UserError, match="a template contains one pipeline"):
        build_dataset.run([*arguments, "--template_location=gs://my-bucket/launch"])


def test_versions_equal_the_installed_ones():
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix not in (".json", ".pyc")]
    text = "\n".join(path.read_text() for path in files)
    assert set(re.findall(r"(?:_sdk:|_job_server:|job-server[:-])(\d+\.\d+\.\d+)", text)) == {apache_beam.__version__}
    flink = set(re.findall(r"FLINK_VERSION:-([\d.]+)|flink_version=([\d.]+)|runners-flink-([\d.]+)-job", text))
    assert {version for found in flink for version in found if version} == {"1.20"}
    assert "1.20" in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_images_copy_existing_files_and_install_what_the_jobs_import():
    for dockerfile in DEPLOY.rglob("Dockerfile"):
        text = dockerfile.read_text()
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        assert all((DEPLOY.parent / name).exists() for names in copied for name in names.split())
        installed = set(re.findall(r"[\w-]+", text[text.index("--constraint"):].lower()))
        assert {"apache-beam", "google-crc32c", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "rich",
                "tfrecord"} <= installed


def test_the_flink_cluster_is_connected():
    services = yaml.safe_load((DEPLOY / "flink" / "docker-compose.yml").read_text())["services"]
    assert services["workerpool"]["network_mode"] == "service:taskmanager"
    assert services["workerpool"]["command"] == ["--worker_pool"]
    assert services["launcher"]["image"] == services["workerpool"]["image"]
    assert services["taskmanager"]["image"] == services["jobmanager"]["image"]
    shared = [services[name]["volumes"] for name in ("taskmanager", "workerpool", "jobserver", "launcher")]
    assert all(volumes == shared[0] for volumes in shared)
