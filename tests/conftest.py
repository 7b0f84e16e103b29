"""Fixtures shared by all tests: the planted logs, their configuration, and the dataset that the real jobs build."""

import sys
from pathlib import Path

import faster_beam
import lean_processes
import planted
import pytest

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.experiments.logs.planted import write_planted_logs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fault campaign")
    group.addoption("--campaign", choices=["short", "long"], default="short", help="size of the fault campaign")
    group.addoption("--campaign-points", type=int, default=200,
                    help="max operations of a stage at which the long form kills it or fills its disk")
    group.addoption("--campaign-json", type=Path, help="file to which the counts of the campaign are added")


def pytest_collection_finish() -> None:
    """Makes child processes faster, and Beam where tests use it: importing it for others would take two seconds."""
    lean_processes.install()
    if "apache_beam" in sys.modules:
        faster_beam.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: where files are shared among processes, none of them is left for the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def planted_config() -> Config:
    return Config.model_validate(planted.planted_config())


@pytest.fixture(scope="session")
def planted_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "raw"
    write_planted_logs(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(planted_config: Config, planted_logs: Path) -> Dataset:
    """Read-only: tests that change files copy the folder first."""
    from beam_pipelines.build_dataset import build

    folder = planted_logs.parent / "dataset"
    build(planted_config, planted_logs, folder)
    return Dataset.open(folder)
