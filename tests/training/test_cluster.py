"""The workers of a multi-worker run in the forms of TensorFlow, of Vertex AI and of this package."""

import json

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.cluster import adopt_cluster

WORKERS = ["a:1", "b:1", "c:1"]


@pytest.mark.parametrize(("variable", "cluster", "task", "number"), [
    ("TF_CONFIG", {"worker": WORKERS}, ("worker", 1), 1),
    ("TF_CONFIG", {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("chief", 0), 0),
    ("TF_CONFIG", {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("worker", 1), 2),
    ("CLUSTER_SPEC", {"workerpool0": ["a:1"], "workerpool1": ["b:1", "c:1"]}, ("workerpool0", 0), 0),
    ("CLUSTER_SPEC", {"workerpool0": ["a:1"], "workerpool1": ["b:1", "c:1"]}, ("workerpool1", "1"), 2),
])
def test_the_first_machine_is_worker_0(variable, cluster, task, number):
    spec = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}, "environment": "cloud"}
    environment = {variable: json.dumps(spec)}
    assert adopt_cluster(environment) == number
    expected = {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": number}}
    assert json.loads(environment["TF_CONFIG"]) == expected
    assert adopt_cluster(environment) == number


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"cluster": {"worker": ["a:1"]}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
    '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": -1}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}',
])
def test_a_cluster_without_this_worker_is_refused(text):
    with pytest.raises(UserError, match=r"TF_CONFIG is .*: set it on each worker, such as"):
        adopt_cluster({"TF_CONFIG": text})
