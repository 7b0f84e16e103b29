"""The examples run as shown on logs that they share: scripts in this process, notebooks in one kernel."""

import ast
import os
import re
import runpy
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_core.utils import run_sync
from own_packages import forget_modules, install_example

from tfrs_pretrain.artifacts import read_manifest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = ("your_data_in_20_minutes", "what_the_rows_know")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all examples write."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def run(folder, monkeypatch):
    """Runs a script's ``main`` in the shared folder."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield lambda name: runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](folder)
    forget_modules("small_shop")


def test_the_own_training_loop_learns(run, capsys):
    before, after = run("own_training_loop")
    assert before < 0.1
    assert after > 0.25
    assert f"{before:.3f} before, {after:.3f} after" in capsys.readouterr().out


def test_the_own_ranker_gains_by_pretrained_rows(run, folder):
    aucs = run("own_ranker")
    assert aucs["warm_start"] > aucs["scratch"] + 0.1
    network = read_manifest(folder / "own_warm_start", "ranker")["config"]["ranking"]["network"]
    assert network["content"]["class_name"] == "Functional"


def test_the_custom_source_builds_a_dataset_from_a_database(run, tmp_path, monkeypatch, capsys):
    install_example(tmp_path, monkeypatch)
    dataset = run("custom_source")
    forget_modules()
    assert dataset.info["counts"]["engagements"]["read"] == 12_000
    assert "read by own-package 0.1, own-package 0.1" in capsys.readouterr().out
    for path in (folder_files := sorted((dataset.folder / "pairs").rglob("*.tfrecord*"))):
        assert path.stat().st_size > 1000
    assert folder_files


@pytest.fixture(scope="module")
def kernel():
    """One kernel for both notebooks, so that TensorFlow is imported once."""
    manager = nbclient.NotebookClient(nbformat.v4.new_notebook()).create_kernel_manager()
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


@pytest.fixture
def outputs(kernel, folder):
    """Runs a notebook; returns the text of all outputs."""
    def executed(name):
        path = os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
        book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        client = nbclient.NotebookClient(book, km=kernel, timeout=300, resources={"metadata": {"path": str(folder)}})
        client.execute(env=os.environ | {"PYTHONPATH": path, "EXAMPLES_FOLDER": str(folder)})
        return "\n".join(output.get("text") or output["data"].get("text/plain", "") for cell in book.cells
                         if cell.cell_type == "code" for output in cell.outputs)

    return executed


def test_the_notebook_about_your_data_compares_both_models(outputs, folder):
    text = outputs("your_data_in_20_minutes")
    assert re.search(r"^engagements: 12,000 rows$", text, re.MULTILINE)
    aucs = [read_manifest(folder / arm, "ranker")["metrics"]["test"]["auc"] for arm in ("scratch", "warm_start")]
    assert aucs[1] > aucs[0] + 0.02
    for arm, auc in zip(("scratch", "warm_start"), aucs, strict=True):
        assert re.search(rf"^{arm} +{auc:.6f} ", text, re.MULTILINE), text
    [[low, high]] = re.findall(r"^auc +[\d.]+ +([\d.-]+) +([\d.-]+)", text, re.MULTILINE)
    assert 0 < float(low) < float(high)


def test_the_notebook_about_the_rows_finds_the_sections(outputs):
    text = outputs("what_the_rows_know")
    [[purity, chance]] = re.findall(r"same section: ([\d.]+), by chance ([\d.]+)", text)
    assert float(purity) > 1.5 * float(chance)
    assert re.search(r"^0 +all +\d+ ", text, re.MULTILINE)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_stored_without_outputs(name):
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    assert not [cell.id for cell in book.cells if cell.cell_type == "code" and (
        cell.outputs or cell.execution_count is not None)]


def test_each_example_opens_with_what_it_shows_its_time_and_what_to_expect():
    openings = {path.name: nbformat.read(path, as_version=4).cells[0].source.replace("**", "")
                for path in EXAMPLES.glob("*.ipynb")}
    openings |= {path.name: ast.get_docstring(ast.parse(path.read_text())) for path in EXAMPLES.glob("*.py")}
    assert len(openings) == 2 + 4 + 1
    del openings["small_shop.py"]
    for name, opening in openings.items():
        assert all(f"\n{word}: " in opening for word in ("Shows", "Time", "Expect")), name


def test_the_list_of_examples_is_complete():
    listed = set(re.findall(r"\]\(([\w./]+)\) \|", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")} - {
        "small_shop.py"} | {"own_package"}
