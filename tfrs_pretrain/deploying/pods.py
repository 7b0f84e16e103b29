"""The pod that runs a step on Kubernetes: image, machine, volume."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.config.deployment import Deployment

VOLUME, CONTAINER = "data", "step"
GRACE_SECONDS = 300  # between SIGTERM and SIGKILL: the time to write a checkpoint


def pod_spec(deployment: Deployment, command: Sequence[str], arguments: Sequence[str], *, ports: Sequence[int] = (),
             gpus: bool = False) -> dict[str, Any]:
    """Return the PodSpec of a container that runs a command.

    Args:
      deployment: image, machine and volume.
      command: program and its first arguments.
      arguments: further arguments.
      ports: on which other pods reach it.
      gpus: whether it gets the GPUs of ``deployment.resources``.
    """
    kubernetes = deployment.kubernetes
    container = {
        "name": CONTAINER, "image": deployment.image, "command": list(command), "args": list(arguments),
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in ports],
        "resources": resources(deployment, gpus=gpus),
        "volumeMounts": [{"name": VOLUME, "mountPath": kubernetes.mount_path}] if kubernetes.volume_claim else []}
    claim = {"name": VOLUME, "persistentVolumeClaim": {"claimName": kubernetes.volume_claim}}
    spec = {"restartPolicy": "Never", "serviceAccountName": kubernetes.service_account,
            "terminationGracePeriodSeconds": GRACE_SECONDS, "containers": [_present(container)],
            "volumes": [claim] if kubernetes.volume_claim else []}
    return _present(spec)


def resources(deployment: Deployment, *, gpus: bool) -> dict[str, Any]:
    """Return the ResourceRequirements: memory and GPUs are limits, so that the pod fails instead of its machine."""
    machine = deployment.resources
    limits = {"memory": f"{machine.memory_gb}Gi"} | (
        {"nvidia.com/gpu": str(machine.gpus)} if machine.gpus and gpus else {})
    return {"requests": {"cpu": str(machine.cpus), "memory": f"{machine.memory_gb}Gi"}, "limits": limits}


def host_name(text: str) -> str:
    """Return a text with the characters that Kubernetes accepts in a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _present(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value not in (None, [])}
