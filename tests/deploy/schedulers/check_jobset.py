"""Reads a generated JobSet with the published models of JobSet and the JSON Schemas of Kubernetes; argv: its file."""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from kubeflow_trainer_api.models.jobset_v1alpha2_job_set import JobsetV1alpha2JobSet

content = yaml.safe_load(Path(sys.argv[1]).read_text())
read = JobsetV1alpha2JobSet.from_dict(content).to_dict()
for job in content["spec"]["replicatedJobs"]:
    kubernetes_validate.validate({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job["name"]},
                                  "spec": job["template"]["spec"]}, "1.34", strict=True)
print(json.dumps({"same": read == content, "jobs": len(read["spec"]["replicatedJobs"])}))
