"""A JobSet for Kubernetes: one job for each step, which starts when the job before has completed.

Training steps have a pod for each worker. A worker's number is its completion index, and the JobSet controller gives
each pod the host name ``<set>-<job>-0-<index>.<set>``; ``TF_CONFIG`` is made from both when the container starts.
"""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.deployment import Deployment
from tfrs_pretrain.deploying.plain_yaml import plain_yaml
from tfrs_pretrain.deploying.pods import CONTAINER, host_name, pod_spec
from tfrs_pretrain.deploying.retrain_command import PROGRAM, TRAINING_STEPS, retrain_arguments, step_names
from tfrs_pretrain.errors import UserError

PORT = 2222
RESTARTS = 5  # of all steps: those that have finished are kept, and training continues from its checkpoints
REFUSALS = [2, 3]  # exit codes after which the same command would end in the same way
_MAX_NAME = 40  # a host name has at most 63 characters, and job and index follow


def jobset(config: Config, deployment: Deployment, end: str | None) -> str:
    """Return the YAML of a JobSet that runs one round.

    Raises:
      UserError: the name of the model and the end make no name for Kubernetes.
    """
    name = _name(config.name, end or str(config.windows.test.end))
    jobs: list[dict[str, Any]] = []
    for step in step_names(deployment):
        jobs.append({"name": step, "replicas": 1, "template": {"spec": _job(deployment, name, step, end)},
                     **({"dependsOn": [{"name": jobs[-1]["name"], "status": "Complete"}]} if jobs else {})})
    content = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet",
        "metadata": {"name": name, "namespace": deployment.kubernetes.namespace},
        "spec": {"network": {"enableDNSHostnames": True, "subdomain": name},
                 "failurePolicy": {"maxRestarts": RESTARTS, "rules": [
                     {"name": "refused", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}]},
                 "replicatedJobs": jobs}}
    return "# kubectl apply --filename=THIS_FILE\n" + plain_yaml(content)


def _job(deployment: Deployment, name: str, step: str, end: str | None) -> dict[str, Any]:
    workers = deployment.workers if step in TRAINING_STEPS else 1
    arguments = retrain_arguments(deployment, end, [step], workers=workers)
    command, ports = [PROGRAM], []
    if workers > 1:
        command, ports = ["sh", "-c", _with_cluster(name, step, workers), PROGRAM], [PORT]
    pod = pod_spec(deployment, command, arguments, ports=ports, gpus=step in TRAINING_STEPS)
    refused = {"action": "FailJob", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": REFUSALS}}
    return {"completionMode": "Indexed", "completions": workers, "parallelism": workers, "backoffLimit": 0,
            "podFailurePolicy": {"rules": [refused]}, "template": {"spec": pod}}


def _with_cluster(name: str, step: str, workers: int) -> str:
    """Shell line that sets TF_CONFIG and becomes the program, which then receives SIGTERM itself."""
    hosts = ", ".join(f'"{name}-{step}-0-{index}.{name}:{PORT}"' for index in range(workers))
    task = '{"type": "worker", "index": \'"$JOB_COMPLETION_INDEX"\'}'
    return f"""export TF_CONFIG='{{"cluster": {{"worker": [{hosts}]}}, "task": {task}}}'; exec "$0" "$@\""""


def _name(model: str, end: str) -> str:
    name = host_name(f"{model}-{end}")
    if not name or len(name) > _MAX_NAME or not name[0].isalpha():
        raise UserError(f"model {model!r} with the end {end!r} makes the name {name!r}, but Kubernetes needs one that "
                        f"begins with a letter and has at most {_MAX_NAME} characters: rename the model")
    return name
