"""A function that reads files of an artifact gets their paths from the functions that compare digests."""

import ast
from pathlib import Path

import pytest

import tfrs_pretrain

ROOT = Path(tfrs_pretrain.__file__).parent
READERS = {"np.load", "pq.read_table", "pq.read_schema", "keras.saving.load_model", "load_network", "faiss.read_index",
           "tf.saved_model.load", "Vocabulary.load", "read_parquet_mapped"}
DOORS = {"checked_file", "artifact_file", "check_saved_model", "check_files", "_file"}
# Files that no manifest of this project lists, or that the caller has compared.
EXCEPTIONS = {
    "vocabulary.py: load": "receives a checked path",
    "mapped_tables.py: _mapped_column": "receives a checked path",
    "ranking/model/cold_rows.py: load_cold_rules": "receives a checked path",
    "ranking/model/saved_network.py: load_network": "receives a checked path",
    "ranking/network_check.py: _check_saving": "reads the file that it has just written",
    "ranking/distillation/stored_logits.py: __init__": "receives a checked path, or a file of the user",
    "ranking/distillation/model_teachers.py: __init__": "open_teacher has checked the folder",
    "demo/completejourney.py": "data of a third party",
    "experiments/logs/kuairand.py": "data of a third party",
    "forgetting/ids.py": "a file of the user",
    "forgetting/artifact.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/dataset.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/exported.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/item_index.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/parquet_rows.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/resolve.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/staging.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "forgetting/tables.py": "run.py compares all files first; --check finds ids in damaged ones, too",
    "serving/deltas/dense_part.py": "chain.py compares the files of a delta and its base",
    "serving/deltas/state.py": "chain.py compares the files of a delta and its base",
    "serving/deltas/table_change.py": "chain.py compares the files of a delta and its base",
    "serving/deltas/vocabulary_change.py": "chain.py compares the files of a delta and its base",
}


def unchecked(source, name):
    """Functions of a module that call a reader and no door, as "<module>: <function>"."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    found = []
    for function in functions:
        called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        if called & READERS and not {each.rpartition(".")[2] for each in called} & DOORS:
            found.append(f"{name}: {function.name}")
    return found


def test_every_reader_compares_digests_first():
    found = {each for path in sorted(ROOT.rglob("*.py"))
             for each in unchecked(path.read_text(), path.relative_to(ROOT).as_posix())}
    assert {each for each in found if each not in EXCEPTIONS and each.partition(":")[0] not in EXCEPTIONS} == set()


@pytest.mark.parametrize(("body", "expected"), [
    ("return np.load(folder / 'x.npy')", ["m.py: read"]), ("return np.load(checked_file(folder, manifest, 'x'))", []),
    ("return open(folder)", []), ("path = dataset.checked_file('x')\n    return pq.read_table(path)", [])])
def test_a_reader_without_a_check_is_found(body, expected):
    assert unchecked(f"def read(folder):\n    {body}\n", "m.py") == expected
