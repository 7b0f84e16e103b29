"""Compiles a generated pipeline with KFP, and runs it by KFP's local runner.

The runner starts containers by the Python package of Docker. Here that package is replaced by one that runs the
container's command on this machine; order, arguments and failures are KFP's. argv: file of the pipeline, end.
"""

import json
import runpy
import subprocess
import sys
import types

from kfp import compiler, local


class Container:
    def __init__(self, command):
        self._done = subprocess.run(command, capture_output=True, check=False)

    def logs(self, stream=True):
        yield self._done.stdout + self._done.stderr

    def wait(self):
        return {"StatusCode": self._done.returncode}


def run_container(image, command, **_):
    images.append(image)
    return Container(command)


images = []
client = types.SimpleNamespace(
    images=types.SimpleNamespace(list=list, pull=lambda image: None), info=lambda: {"SecurityOptions": []},
    containers=types.SimpleNamespace(run=run_container), close=lambda: None)
sys.modules["docker"] = types.SimpleNamespace(
    from_env=lambda: client, DockerClient=object, errors=types.SimpleNamespace(NotFound=KeyError))
pipeline = runpy.run_path(sys.argv[1])["rounds"]
compiler.Compiler().compile(pipeline, "pipeline.yaml")
local.init(runner=local.DockerRunner(), raise_on_error=False)
pipeline(end=sys.argv[2])
print(json.dumps(images))
