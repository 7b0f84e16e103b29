"""Generated files read by the schedulers' own packages: Airflow, Kubeflow Pipelines, the models of JobSet.

`make test-schedulers` installs them, in environments of their own.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from planted import planted_config
from typer.testing import CliRunner

from tfrs_pretrain.cli import app

HERE = Path(__file__).parent / "schedulers"
ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".venv"
STEPS = ["dataset", "validate", "pretrain", "train-ranker", "export", "promote"]
COMMON = ["retrain", "--config=/data/shop.yaml", "--raw=/data/logs", "--rounds=/data/rounds", "--models=/data/models",
          "--gate=/data/gate.yaml", "--label=canary", "--models-config=/data/models/models.config"]
PLACE = {"image": "example/image:1", "config": "/data/shop.yaml", "raw": "/data/logs", "rounds": "/data/rounds",
         "models": "/data/models", "gate": "/data/gate.yaml", "schedule": "0 4 * * 1", "resources": {"gpus": 2},
         "kubernetes": {"volume_claim": "shop-data", "namespace": "recsys"}}
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""

pytestmark = pytest.mark.schedulers


@pytest.fixture
def generated(tmp_path):
    """Writes the file of a scheduler and returns its path."""
    def write(target, *options, **keys):
        (tmp_path / "shop.yaml").write_text(yaml.safe_dump(planted_config()))
        (tmp_path / "place.yaml").write_text(yaml.safe_dump(PLACE | keys))
        done = CliRunner().invoke(app, ["deploy", target, f"--config={tmp_path / 'shop.yaml'}",
                                        f"--deployment={tmp_path / 'place.yaml'}", *options])
        assert done.exit_code == 0, done.output
        path = tmp_path / f"generated.{'py' if target in ('airflow', 'kubeflow') else 'yaml'}"
        path.write_text(done.stdout)
        return path

    return write


def ask(environment, script, folder, *arguments, **variables):
    """Runs a script of ``HERE`` with the Python of an environment and parses its last line."""
    done = subprocess.run([ENVIRONMENTS / environment / "bin" / "python", HERE / script, *arguments], cwd=folder,
                          capture_output=True, text=True, check=False, env=os.environ | variables)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_airflow_reads_the_dag_and_makes_the_pods(generated, tmp_path):
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    dag = ask("airflow", "read_dag.py", tmp_path, generated("airflow"), AIRFLOW_HOME=str(tmp_path / "airflow"),
              KUBECONFIG=str(tmp_path / "kubeconfig"))
    assert (dag["id"], dag["schedule"], dag["max_active_runs"], dag["catchup"]) == (
        "planted_ranker", "0 4 * * 1", 1, False)
    assert dag["upstream"] == {step: STEPS[max(0, index - 1):index] for index, step in enumerate(STEPS)}
    assert dag["ends"] == ["2024-04-04", "2024-03-28"]
    for step, pod in dag["pods"].items():
        *common, end, chosen = pod["arguments"]
        assert (common, chosen) == (COMMON, f"--step={step}")
        assert end.startswith("--end={{ ")
        assert (pod["command"], pod["image"], pod["namespace"]) == (["tfrs-pretrain"], "example/image:1", "recsys")
        assert (pod["claims"], pod["mounts"]) == (["shop-data"], ["/data"])
        assert pod["limits"].get("nvidia.com/gpu") == ("2" if step in ("pretrain", "train-ranker") else None)


@pytest.mark.parametrize("failing", [None, "pretrain"])
def test_kubeflow_compiles_the_pipeline_and_runs_its_steps_in_order(generated, tmp_path, failing):
    program = tmp_path / "bin" / "tfrs-pretrain"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> ran.txt\ncase "$*" in *--step={failing}) exit 1;; esac\n')
    program.chmod(0o755)
    images = ask("kubernetes", "run_pipeline.py", tmp_path, generated("kubeflow"), "28",
                 PATH=f"{program.parent}:{os.environ['PATH']}")
    assert set(images) == {"example/image:1"}
    ran = [line.split() for line in (tmp_path / "ran.txt").read_text().splitlines()]
    reached = STEPS if failing is None else STEPS[:STEPS.index(failing) + 1]
    assert list(dict.fromkeys(map(tuple, ran))) == [(*COMMON, "--end=28", f"--step={step}") for step in reached]
    compiled = (tmp_path / "pipeline.yaml").read_text()
    assert "pvcName" in compiled
    assert "nvidia.com/gpu" in compiled


def test_the_models_of_jobset_and_the_schemas_of_kubernetes_accept_the_jobset(generated, tmp_path):
    path = generated("jobset", "--end=28", workers=2)
    assert ask("kubernetes", "check_jobset.py", tmp_path, path) == {"same": True, "jobs": len(STEPS)}
