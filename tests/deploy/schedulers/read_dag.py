"""Loads a generated DAG with Airflow and prints its parts as JSON; argv: file of the DAG."""

import datetime
import gc
import json
import runpy
import sys

from airflow.sdk import DAG

names = runpy.run_path(sys.argv[1])
[dag] = [found for found in gc.get_objects() if isinstance(found, DAG)]
environment = dag.get_template_env()
interval = datetime.datetime(2024, 4, 4, tzinfo=datetime.UTC)


def pod_of(task):
    """What the operator sends to Kubernetes."""
    pod = task.build_pod_request_obj()
    [container] = pod.spec.containers
    return {"arguments": container.args, "command": container.command, "image": container.image,
            "limits": container.resources.limits, "namespace": pod.metadata.namespace,
            "claims": [volume.persistent_volume_claim.claim_name for volume in pod.spec.volumes],
            "mounts": [mount.mount_path for mount in container.volume_mounts]}


print(json.dumps({
    "id": dag.dag_id, "schedule": dag.schedule, "max_active_runs": dag.max_active_runs, "catchup": dag.catchup,
    "upstream": {task.task_id: sorted(task.upstream_task_ids) for task in dag.topological_sort()},
    "pods": {task.task_id: pod_of(task) for task in dag.tasks},
    "retries": sorted({task.retries for task in dag.tasks}),
    "ends": [environment.from_string(names["END"]).render(params={"end": end}, data_interval_end=interval)
             for end in (None, "2024-03-28")]}))
