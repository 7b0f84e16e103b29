"""Importing any part of the package changes nothing for the rest of the process, in any order with TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WITHOUT_TENSORFLOW = ("tfrs_pretrain", "tfrs_pretrain.config", "tfrs_pretrain.artifacts", "tfrs_pretrain.vocabulary",
                      "tfrs_pretrain.stages", "tfrs_pretrain.study", "tfrs_pretrain.cli", "tfrs_pretrain.api.stages",
                      "tfrs_pretrain.serving.client", "tfrs_pretrain.evaluation.bootstrap")


def report(script, *arguments, **variables):
    """The JSON that a script of this folder prints in a process without the two variables of Keras and logging."""
    inherited = {name: value for name, value in os.environ.items()
                 if name not in ("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL")}
    done = subprocess.run([sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=False,
                          timeout=300, env=inherited | variables | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stage_one_alone():
    return report("stage_one.py")


def test_stage_one_leaves_tf_keras_and_the_environment_as_they_were(stage_one_alone):
    assert stage_one_alone["tf.keras"] == "keras"
    assert stage_one_alone["changed"] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", [
    ["tensorflow"], ["tensorflow", "tf.keras"], ["keras", "tensorflow"], ["tf_keras", "tf.keras"],
    ["tfrs_pretrain.ranking.run", "tf.keras"], ["tfrs_pretrain.pretraining.two_tower", "tf.keras"],
])
def test_stage_one_trains_the_same_rows_in_every_import_order(first, stage_one_alone):
    assert report("stage_one.py", *first) == stage_one_alone


@pytest.mark.slow
def test_stage_one_trains_in_a_process_that_chose_keras_2(stage_one_alone):
    chosen = report("stage_one.py", "tensorflow_recommenders", "keras", TF_USE_LEGACY_KERAS="1")
    assert chosen == stage_one_alone | {"tf.keras": "tf_keras"}


def test_contracts_command_line_and_client_load_no_large_library():
    assert report("modules.py", *WITHOUT_TENSORFLOW) == {"loaded": [], "changed": []}


def test_no_module_of_the_beam_jobs_loads_tensorflow():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
               for path in sorted((ROOT / "beam_pipelines").rglob("*.py"))]
    assert "beam_pipelines.build_pairs" in modules
    assert report("modules.py", *modules) == {"loaded": ["apache_beam"], "changed": []}
