"""Files of schedulers: their commands are commands of this package, and Vertex AI's types read its job."""

import json
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml
from google.cloud.aiplatform_v1.types import CustomJobSpec
from planted import planted_config

from tfrs_pretrain.cli import app
from tfrs_pretrain.config import Config
from tfrs_pretrain.config.deployment import load_deployment
from tfrs_pretrain.deploying.airflow import airflow_dag
from tfrs_pretrain.deploying.jobset import jobset
from tfrs_pretrain.deploying.kubeflow import kubeflow_pipeline
from tfrs_pretrain.deploying.vertex import vertex_job
from tfrs_pretrain.errors import UserError

CONFIG = Config.model_validate(planted_config())
PLACE = {"image": "example/image:1", "config": "/data/shop.yaml", "raw": "/data/logs", "rounds": "/data/rounds",
         "models": "/data/models"}


@pytest.fixture
def deployment(tmp_path):
    def write(**keys):
        (tmp_path / "deployment.yaml").write_text(yaml.safe_dump(PLACE | keys))
        return load_deployment(str(tmp_path / "deployment.yaml"))

    return write


def parsed(arguments):
    """Options of a command line as the program reads them, and what it passes on to Beam."""
    assert arguments[0] == "retrain"
    command = typer.main.get_command(app).commands["retrain"]
    context = command.make_context("retrain", list(arguments[1:]))
    return {key: value for key, value in context.params.items() if value}, context.args


FOLDERS = {"config": "/data/shop.yaml", "raw": "/data/logs", "rounds": Path("/data/rounds"),
           "models": Path("/data/models"), "label": "canary", "wait": 120.0}


def test_the_job_of_vertex_ai_runs_a_round_on_each_worker(deployment):
    place = deployment(workers=3, gate="/data/gate.yaml", carry_ranker=True, overrides=["pretraining.epochs=2"],
                       beam_options=["--direct_num_workers=4"],
                       vertex={"accelerator_type": "NVIDIA_L4", "accelerator_count": 2,
                               "machine_type": "g2-standard-24", "output_uri": "gs://bucket/out", "spot": True})
    job = CustomJobSpec.from_json(json.dumps(yaml.safe_load(vertex_job(CONFIG, place, "49"))))
    first, others = job.worker_pool_specs
    assert (first.replica_count, others.replica_count) == (1, 2)
    assert others.machine_spec.accelerator_type.name == "NVIDIA_L4"
    assert others.machine_spec.accelerator_count == 2
    assert job.scheduling.strategy.name == "SPOT"
    assert job.base_output_directory.output_uri_prefix == "gs://bucket/out"
    assert first.container_spec == others.container_spec
    assert list(first.container_spec.command) == ["tfrs-pretrain"]
    assert parsed(list(first.container_spec.args)) == (FOLDERS | {
        "end": "49", "gate": "/data/gate.yaml", "models_config": Path("/data/models/models.config"),
        "carry_ranker": True, "overrides": ["pretraining.epochs=2", "training.strategy=multi_worker"]},
        ["--direct_num_workers=4"])


def test_a_job_of_one_worker_has_one_pool_and_no_cluster(deployment):
    [pool] = CustomJobSpec.from_json(json.dumps(yaml.safe_load(vertex_job(CONFIG, deployment(), None)))
                                     ).worker_pool_specs
    assert parsed(list(pool.container_spec.args)) == (FOLDERS, [])


def test_each_step_of_a_jobset_follows_the_one_before_and_workers_find_each_other(deployment):
    place = deployment(workers=2, resources={"gpus": 4})
    spec = yaml.safe_load(jobset(CONFIG, place, "49"))["spec"]
    jobs = {job["name"]: job for job in spec["replicatedJobs"]}
    assert list(jobs) == ["dataset", "validate", "pretrain", "train-ranker", "export"]
    assert [job.get("dependsOn") for job in jobs.values()] == [
        None, *([{"name": name, "status": "Complete"}] for name in list(jobs)[:-1])]
    gpus = {name: container(job)["resources"]["limits"].get("nvidia.com/gpu") for name, job in jobs.items()}
    assert gpus == {"dataset": None, "validate": None, "pretrain": "4", "train-ranker": "4", "export": None}
    assert parsed(container(jobs["export"])["args"])[0] == FOLDERS | {"end": "49", "steps": ["export"]}
    assert jobs["export"]["template"]["spec"]["completions"] == 1
    assert jobs["pretrain"]["template"]["spec"]["completions"] == 2


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_worker_makes_its_cluster_from_its_completion_index(deployment, shell):
    spec = yaml.safe_load(jobset(CONFIG, deployment(workers=2), "49"))["spec"]
    step = container(next(job for job in spec["replicatedJobs"] if job["name"] == "pretrain"))
    program, option, script, name = step["command"]
    assert (program, option, name) == ("sh", "-c", "tfrs-pretrain")
    seen = subprocess.run([shell, option, script, "env"], capture_output=True, text=True, check=True,
                          env={"JOB_COMPLETION_INDEX": "1", "PATH": "/usr/bin:/bin"}).stdout
    [cluster] = [line.removeprefix("TF_CONFIG=") for line in seen.splitlines() if line.startswith("TF_CONFIG=")]
    hosts = [f"planted-ranker-49-pretrain-0-{index}.planted-ranker-49:2222" for index in range(2)]
    assert json.loads(cluster) == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 1}}
    seen = subprocess.run([shell, option, script, "echo", "two words", "$HOME"], capture_output=True, text=True,
                          check=True, env={"JOB_COMPLETION_INDEX": "1"}).stdout
    assert seen == "two words $HOME\n"


def container(job):
    [found] = job["template"]["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("write", [kubeflow_pipeline, airflow_dag])
def test_one_container_for_each_step_cannot_be_several_workers(deployment, write):
    with pytest.raises(UserError, match=r"workers is 2, but a step of .* is one container"):
        write(CONFIG, deployment(workers=2), None)


def test_a_name_that_kubernetes_refuses_is_named(deployment):
    with pytest.raises(UserError, match="Kubernetes needs one that begins with a letter and has at most 40"):
        jobset(CONFIG.model_copy(update={"name": "n" * 40}), deployment(), "49")


@pytest.mark.parametrize(("keys", "message"), [
    ({"image": ""}, "image: String should have at least 1 character"),
    ({"worker": 2}, "unknown key 'worker'; docs/deploy/schedulers.md lists the keys"),
    ({"server": "localhost:8500"}, "server and models_config are used by a promotion: name its gate"),
    ({"vertex": {"output_uri": "/gcs/bucket"}}, "vertex.output_uri: String should match pattern"),
])
def test_a_wrong_deployment_is_named(deployment, keys, message):
    with pytest.raises(UserError, match=message):
        deployment(**keys)
