"""The deployment files match the code: parameters, versions, images, launchers."""

import argparse
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import apache_beam
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from planted import planted_config as planted_tree

from beam_pipelines import build_dataset, build_pairs, build_vocabulary
from beam_pipelines.launching.command_line import JOB_OPTIONS
from beam_pipelines.launching.output_folder import UNFINISHED_MARKER
from tfrs_pretrain.errors import UserError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
METADATA = json.loads((DEPLOY / "dataflow" / "metadata.json").read_text())
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
REQUIRED = {"job", "config", "raw", "output", "sdk_container_image"}


def _loaded(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def template():
    return _loaded("template_main", DEPLOY / "dataflow" / "main.py")


@pytest.fixture(scope="module")
def class_path_jar():
    return _loaded("class_path_jar", DEPLOY / "flink" / "class_path_jar.py")


def test_parameters_are_the_options_of_the_jobs():
    parser = argparse.ArgumentParser(add_help=False)
    for group in JOB_OPTIONS:
        group._add_argparse_args(parser)
    options = {action.dest for action in parser._actions}
    # --finish runs no pipeline, and only the default runner spills; job and image are parameters of the template only.
    assert set(PARAMETERS) == (options - {"finish", "spill_mb", "spill_folder"}) | {"job", "sdk_container_image"}
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
    assert set(re.findall(r"_sdk:(\d+\.\d+\.\d+)", text)) == {apache_beam.__version__}
    pom = (DEPLOY / "flink" / "pom.xml").read_text()
    beam, flink = (re.search(f"<{name}>(.*)</{name}>", pom)[1] for name in ("beam.version", "flink.series"))
    assert set(re.findall(r"image: flink:([\d.]+)-java17", text)) == {flink}
    assert f"Flink {flink} and the job server of Beam {beam[:-2]} are used" in text


@pytest.mark.parametrize(("folder", "extra"), [("dataflow", "gcp"), ("flink", "beam")])
def test_images_copy_existing_files_and_install_the_extra_of_the_jobs(folder, extra):
    text = (DEPLOY / folder / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((DEPLOY.parent / name).exists() for names in copied for name in names.split())
    assert f"--require-hashes --no-deps --requirement {extra}.txt" in text
    assert "pip install --no-cache-dir --no-deps --no-build-isolation .\n" in text
    assert "setup.py" in " ".join(copied).split()


SERVICES = yaml.safe_load((DEPLOY / "flink" / "docker-compose.yml").read_text())["services"]


def test_each_task_manager_has_its_own_worker_pool():
    """Two task managers that share a pool hang."""
    managers = [name for name in SERVICES if name.startswith("taskmanager")]
    pools = [service for name, service in SERVICES.items() if name.startswith("workerpool")]
    assert len(managers) == 2
    assert sorted(pool["network_mode"] for pool in pools) == [f"service:{name}" for name in managers]
    assert all(pool["command"] == ["--worker_pool"] for pool in pools)
    assert all(SERVICES["launcher"]["image"] == pool["image"] for pool in pools)
    assert {SERVICES[name]["image"] for name in managers} == {SERVICES["jobmanager"]["image"]}
    shared = [SERVICES[name]["volumes"] for name in SERVICES if name != "jobmanager"]
    assert all(volumes == shared[0] for volumes in shared)


def test_the_containers_have_the_tested_configuration_of_flink():
    config = yaml.safe_load((DEPLOY / "flink" / "config.yaml").read_text())
    assert config["restart-strategy.type"] == "fixed-delay"
    assert config["taskmanager.memory.network.min"] == config["taskmanager.memory.network.max"] == "343m"
    for name in ("jobmanager", "taskmanager1", "taskmanager2"):
        assert yaml.safe_load(SERVICES[name]["environment"]["FLINK_PROPERTIES"]).items() >= config.items()


def test_the_job_server_image_opens_the_packages_of_the_jar(class_path_jar):
    text = (DEPLOY / "flink" / "job-server.Dockerfile").read_text()
    assert re.findall(r"--add-opens=(\S+)=ALL-UNNAMED", text) == list(class_path_jar.OPENED_PACKAGES)
    assert class_path_jar.MAIN_CLASS in text
    assert class_path_jar.PLUGIN in text


def test_a_manifest_names_the_jars_in_lines_of_72_bytes(class_path_jar, tmp_path):
    jars = [tmp_path / f"an artifact-{number}.jar" for number in range(9)]
    text = class_path_jar.manifest(jars)
    assert text.endswith(b"\r\n\r\n")
    assert max(map(len, text.split(b"\r\n"))) == 70
    entries = dict(line.split(b": ", 1) for line in text.replace(b"\r\n ", b"").split(b"\r\n") if line)
    assert entries[b"Class-Path"].decode().split() == [
        f"file://{tmp_path}/an%20artifact-{number}.jar" for number in range(9)]
    assert entries[b"Main-Class"] == b"org.apache.beam.runners.flink.FlinkJobServerDriver"


FAILING_MAVEN = """#!/bin/sh
echo "[ERROR] Could not find artifact x:y:1"
echo "[ERROR] To see the full stack trace, use -e"
exit 1
"""


@pytest.mark.parametrize(("maven", "line"), [
    (None, "error: mvn is not installed: install Maven and Java 17\n"),
    (FAILING_MAVEN, "error: mvn failed with exit code 1: [ERROR] Could not find artifact x:y:1\n")])
def test_a_maven_that_brings_nothing_is_one_line(maven, line, class_path_jar, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    if maven:
        (tmp_path / "mvn").write_text(maven)
        (tmp_path / "mvn").chmod(0o755)
    assert class_path_jar.main([str(tmp_path / "out.jar")]) == 2
    assert capsys.readouterr().err == line
    assert not (tmp_path / "out.jar").exists()


@pytest.fixture(scope="module")
def local_cluster():
    return _loaded("local_cluster", DEPLOY / "flink" / "local_cluster.py")


def test_a_worker_pool_listens_on_its_address_only_and_ends_after_a_failure(local_cluster, tmp_path):
    """Each pool needs its own address to be next to one task manager."""
    [port] = local_cluster.free_ports(1)
    with pytest.raises(ZeroDivisionError), local_cluster.processes(tmp_path) as running:
        pool = running.start("pool", sys.executable, str(DEPLOY / "flink" / "worker_pool.py"), f"127.0.0.1:{port}",
                             address=("127.0.0.1", port))
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))
        raise ZeroDivisionError
    assert pool.poll() == 0


def test_a_process_of_the_cluster_that_ends_is_an_error(local_cluster, tmp_path):
    with local_cluster.processes(tmp_path) as running, pytest.raises(
            local_cluster.StartError, match=r"^x \(log .*x\.log\) has ended with exit code 7$"):
        running.start("x", sys.executable, "-c", "raise SystemExit(7)", address=("127.0.0.1", 1))


@pytest.mark.parametrize(("java", "line"), [
    (False, "error: java is not installed: install Java 17\n"),
    (True, "error: x.jar does not exist: write it with class_path_jar.py\n")])
def test_a_cluster_without_java_or_jar_is_one_line(java, line, local_cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    if java:
        (tmp_path / "java").touch(mode=0o755)
    assert local_cluster.main(["x.jar", f"--folder={tmp_path}"]) == 2
    assert capsys.readouterr().err == line
