"""Public names are imported when they are used, and type checkers see the same names."""

import ast
import json
import os
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tfrs_pretrain

WITHOUT_TENSORFLOW = ("Client", "Config", "Dataset", "Embeddings", "Evaluation", "GrpcClient", "PretrainResult",
                      "RestClient", "TrainedArm", "UserError", "build_dataset", "evaluate", "export", "load_config",
                      "pretrain", "train_ranker")


def run(code):
    """Returns the JSON that a new process prints."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False,
                          timeout=120, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def checked_imports():
    """Public name -> module, as type checkers read them."""
    [block] = [node for node in ast.parse(Path(tfrs_pretrain.__file__).read_text()).body
               if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_importing_is_quick_and_loads_no_library():
    imported = run("""
        import json, sys, time
        started = time.perf_counter()
        import tfrs_pretrain as tp
        seconds = time.perf_counter() - started
        libraries = {"numpy", "pandas", "pyarrow", "pydantic", "tensorflow", "keras", "apache_beam", "grpc"}
        print(json.dumps({"seconds": seconds, "loaded": sorted(libraries & sys.modules.keys())}))
        """)
    assert imported["loaded"] == []
    assert imported["seconds"] < 0.2


def test_stages_contracts_and_clients_load_no_tensorflow():
    assert run(f"""
        import json, sys
        import tfrs_pretrain as tp
        names = {WITHOUT_TENSORFLOW!r}
        assert all(getattr(tp, name).__name__ == name for name in names)
        print(json.dumps(sorted({{"tensorflow", "keras", "apache_beam"}} & sys.modules.keys())))
        """) == []


def test_type_checkers_see_the_names_that_exist():
    homes = {name: f"tfrs_pretrain.{module}" for name, module in tfrs_pretrain._HOMES.items()}
    assert checked_imports() == homes
    assert sorted(tfrs_pretrain.__all__) == sorted([*homes, "__version__"])
    assert len(set(tfrs_pretrain.__all__)) == len(tfrs_pretrain.__all__)


def test_the_named_interface_is_there():
    assert set(tfrs_pretrain.__all__) >= {
        "Config", "Dataset", "build_dataset", "pretrain", "train_ranker", "evaluate", "export", "Embeddings",
        "EmbeddingTable", "Adagrad", "RowwiseAdagrad", "LazyAdam", "InBatchSoftmax", "UniformSoftmax",
        "CosineContrastive", "Client", "PretrainResult", "TrainedArm", "Evaluation", "ExportedVersion"}


@pytest.mark.parametrize("name", sorted(set(tfrs_pretrain.__all__) - {"__version__"}))
def test_every_name_is_defined_in_its_module(name):
    value = getattr(tfrs_pretrain, name)
    assert value.__name__ == name
    assert value.__module__ == f"tfrs_pretrain.{tfrs_pretrain._HOMES[name]}"
    assert value.__doc__
    assert getattr(tfrs_pretrain, name) is value


def test_no_name_is_a_module_of_the_package():
    assert not set(tfrs_pretrain.__all__) & {module.name for module in pkgutil.iter_modules(tfrs_pretrain.__path__)}


def test_an_unknown_name_is_refused_with_the_public_ones():
    with pytest.raises(AttributeError, match=r"no public name 'Trainer'; it has Adagrad, .*train_ranker"):
        tfrs_pretrain.Trainer  # noqa: B018
    assert dir(tfrs_pretrain) == sorted(tfrs_pretrain.__all__)
