"""Imports lead from later folders to earlier ones, as the table in the README's architecture section says."""

import graphlib
from pathlib import Path

import pytest
from import_graph import BLOCK, Order, folders, imports, modules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files():
    return modules(ROOT)


@pytest.fixture(scope="module")
def graph(files):
    return imports(files)


@pytest.fixture(scope="module")
def table():
    [text] = BLOCK.findall((ROOT / "README.md").read_text())
    return text


def test_every_import_leads_to_a_lower_floor(graph, table):
    assert Order.parse(table).violations(graph) == []


def test_every_name_in_the_table_exists(files, table):
    assert not [name for name in Order.parse(table).floors if name not in files]


@pytest.mark.parametrize("by", ["module", "folder"])
def test_no_import_circle(by, graph, files):
    tuple(graphlib.TopologicalSorter(graph if by == "module" else folders(graph, files)).static_order())


@pytest.fixture
def small(tmp_path):
    """A package of four modules whose imports can be changed."""
    def write(**texts):
        for name, text in ({"config": "", "data/reader": "", "train": "", "serve": ""} | texts).items():
            path = tmp_path / "tfrs_pretrain" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return imports(modules(tmp_path))

    return write


ORDER = Order.parse("config < data\ntrain serve")


def test_downward_imports_are_allowed(small):
    graph = small(train="from tfrs_pretrain.data import reader\nimport numpy", **{
        "data/reader": "import tfrs_pretrain.config"})
    assert graph["tfrs_pretrain.train"] == {"tfrs_pretrain.data.reader"}
    assert ORDER.violations(graph) == []


@pytest.mark.parametrize("texts", [
    {"data/reader": "from tfrs_pretrain.train import step"},
    {"data/reader": "def run():\n    from tfrs_pretrain import train"},
    {"data/reader": "import importlib\nimportlib.import_module('tfrs_pretrain.train')"},
    {"serve": "import tfrs_pretrain.train"},
])
def test_an_import_upwards_or_along_a_floor_is_named(texts, small):
    [(module, _)] = texts.items()
    assert ORDER.violations(small(**texts)) == [
        f"tfrs_pretrain.{module.replace('/', '.')} imports tfrs_pretrain.train"]


def test_a_file_without_an_entry_is_named(small):
    assert ORDER.violations(small(extra="")) == ["tfrs_pretrain.extra has no entry"]


def test_parts_of_a_folder_come_before_its_rest():
    assert Order.parse("config\nserving: protocol < client server\nbeam_pipelines: jobs").floors == {
        "tfrs_pretrain": 7, "tfrs_pretrain.config": 1, "tfrs_pretrain.serving.protocol": 2,
        "tfrs_pretrain.serving.client": 3, "tfrs_pretrain.serving.server": 3, "tfrs_pretrain.serving": 4,
        "beam_pipelines.jobs": 5, "beam_pipelines": 6}


def test_a_circle_between_folders_is_found(small):
    graph = small(**{"data/reader": "import tfrs_pretrain.config", "config": "import tfrs_pretrain.data.reader"})
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(graph).static_order())
