"""A custom job of Vertex AI: the CustomJobSpec that ``gcloud ai custom-jobs create --config`` reads."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.deployment import Deployment
from tfrs_pretrain.deploying.plain_yaml import plain_yaml
from tfrs_pretrain.deploying.retrain_command import PROGRAM, retrain_arguments


def vertex_job(config: Config, deployment: Deployment, end: str | None) -> str:
    """Return the YAML of a job that runs one round.

    Each worker runs the same command; Vertex AI describes the cluster in ``TF_CONFIG`` and ``CLUSTER_SPEC``. It
    restarts a failed worker, and the round continues from its checkpoints.
    """
    vertex = deployment.vertex
    accelerator = {"acceleratorType": vertex.accelerator_type, "acceleratorCount": vertex.accelerator_count}
    pool = {"machineSpec": {"machineType": vertex.machine_type, **(accelerator if vertex.accelerator_type else {})},
            "containerSpec": {"imageUri": deployment.image, "command": [PROGRAM],
                              "args": retrain_arguments(deployment, end, workers=deployment.workers)}}
    counts = [1, deployment.workers - 1] if deployment.workers > 1 else [1]
    spec: dict[str, Any] = {
        "workerPoolSpecs": [{**pool, "replicaCount": count} for count in counts],
        "scheduling": {"restartJobOnWorkerRestart": deployment.workers > 1,
                       **({"strategy": "SPOT"} if vertex.spot else {})}}
    spec |= {"baseOutputDirectory": {"outputUriPrefix": vertex.output_uri}} if vertex.output_uri else {}
    spec |= {"serviceAccount": vertex.service_account} if vertex.service_account else {}
    head = f"# gcloud ai custom-jobs create --display-name={config.name} --region=REGION --config=THIS_FILE\n"
    return head + plain_yaml(spec)
