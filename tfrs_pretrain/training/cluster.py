"""The workers of a multi-worker run, from ``TF_CONFIG`` or from Vertex AI's ``CLUSTER_SPEC``, in one form.

TensorFlow accepts a chief beside the workers, and Vertex AI names its first machine so. Here the first worker is what a
chief would be, so that each process has one number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from tfrs_pretrain.errors import UserError

TF_CONFIG, CLUSTER_SPEC = "TF_CONFIG", "CLUSTER_SPEC"
# Names of the first machine and of the others
_FORMS = (("chief", "worker"), ("workerpool0", "workerpool1"))


def adopt_cluster(environment: MutableMapping[str, str] = os.environ) -> int:
    """Write the cluster to ``TF_CONFIG`` in the form that this package uses, and return the number of this worker.

    Args:
      environment: of the process; ``CLUSTER_SPEC`` is read only without ``TF_CONFIG``.

    Raises:
      UserError: neither variable names the workers and this one.
    """
    text = environment.get(TF_CONFIG) or environment.get(CLUSTER_SPEC) or ""
    try:
        workers, index = _workers(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        raise UserError(f"training.strategy is multi_worker, but the environment variable TF_CONFIG is {text!r}: set "
                        f"it on each worker, such as {example}") from error
    environment[TF_CONFIG] = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
    return index


def _workers(spec: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the addresses of all workers and the number of this one."""
    cluster, task = spec["cluster"], spec["task"]
    for first, others in _FORMS:
        workers = [*cluster.get(first, ()), *cluster.get(others, ())]
        before = {first: 0, others: len(cluster.get(first, ()))}
        if workers and task["type"] in before:
            index = before[task["type"]] + int(task["index"])
            if before[task["type"]] <= index < len(workers):
                return workers, index
    raise ValueError(task)
