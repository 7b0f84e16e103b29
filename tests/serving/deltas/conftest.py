"""A base version and two later rankers, for float32 and int8 tables."""

import shutil

import numpy as np
import pytest
from evolved import evolve, rare_ids

from tfrs_pretrain.config import Config
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export

NAME = "planted_ranker"


@pytest.fixture(scope="session")
def generations(tmp_path_factory, tiny_dataset, ranker_folder):
    """(dataset, ranker) three times: trained; ids replaced and appended, rows changed; likewise, and dense weights."""
    rare = rare_ids(tiny_dataset)
    second = evolve(tiny_dataset, ranker_folder, tmp_path_factory.mktemp("second"),
                    replace={rare[0]: "first heir", rare[1]: "zweiter Erbe", rare[2]: None},
                    append=["new 1", "new 2", "ñ 3"],
                    rows={"user": {2: np.full(8, -0.0), 5: np.linspace(-1, 1, 8)}, "item": {0: np.full(8, 0.125)}})
    third = evolve(*second, tmp_path_factory.mktemp("third"), replace={rare[0]: "its heir"}, append=["new 4"],
                   rows={"user": {5: np.linspace(1, -2, 8)}}, dense=True)
    return [(tiny_dataset, ranker_folder), second, third]


def with_dtype(config, dtype):
    tree = config.resolved()
    tree["export"] |= {"table_dtype": dtype, "table_tolerance": 1}
    return Config.model_validate(tree)


def chain(config, generations, models):
    """Exports the first generation as version 1, the others as its deltas."""
    first, *later = generations
    export(config, *first, models)
    for dataset, ranker in later:
        export_delta(config, dataset, ranker, models, 1)
    return config, models


@pytest.fixture(scope="session")
def chained(generations, planted_config, tmp_path_factory):
    """Configuration, and a folder of models with version 1 and two deltas. Read-only."""
    return chain(with_dtype(planted_config, "float32"), generations, tmp_path_factory.mktemp("chained"))


@pytest.fixture(scope="session")
def int8_chained(generations, planted_config, tmp_path_factory):
    """Likewise with one delta from the first to the last generation, in int8. Read-only."""
    return chain(with_dtype(planted_config, "int8"), generations[::2], tmp_path_factory.mktemp("int8_chained"))


@pytest.fixture
def copied_chain(chained, tmp_path):
    """A copy of the base version's folder with its deltas."""
    return shutil.copytree(chained[1], tmp_path / "models") / NAME / "1"
