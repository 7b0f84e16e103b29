"""A ranker that starts from an earlier one, on a dataset in which some rows belong to other ids than before."""

import dataclasses
import shutil
import types

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import ArmConfig, Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.model.artifact import save_ranker
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.ranking.transfer.earlier_ranker import EarlierRanker
from tfrs_pretrain.vocabulary import Vocabulary

REUSED, FREED = [2, 7, 90], [4]  # rows of users


@dataclasses.dataclass
class Weeks:
    """The ranker of the first week, and the dataset of the second, in which some rows of users are reused."""

    ranker: object
    folder: object
    later: Dataset


@pytest.fixture(scope="module")
def weeks(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weeks")
    config = Config.model_validate(planted.dataset.info["config"])
    learner = build_learner(config.ranking, planted.dataset, ArmConfig(), None, hidden=(16, 8), seed=5,
                            privileged=False)
    save_ranker(folder / "ranker", learner.ranker, {}, {"vocabularies": planted.dataset.digests}, overwrite=False)
    users = planted.dataset.vocabulary("user")
    ids = users.ids.to_pylist()
    for number, row in enumerate(REUSED):
        ids[row - users.oov_rows] = 10_000 + number
    ids[FREED[0] - users.oov_rows] = None
    later = Vocabulary(pa.array([*ids, 20_000]), np.array([0 if value is None else 1 for value in [*ids, 1]]), 2)
    shutil.copytree(planted.dataset.folder, folder / "later")
    later.save(folder / "later" / "vocabulary" / "user.parquet")
    info = read_manifest(folder / "later", "dataset", name=DATASET_INFO)
    info["vocabularies"]["user"] = {"rows": later.num_rows, "digest": later.digest}
    write_manifest(folder / "later", "dataset", {key: info[key] for key in (
        "config", "splits", "vocabularies", "numeric")}, name=DATASET_INFO)
    return Weeks(learner.ranker, folder / "ranker", Dataset.open(folder / "later"))


def started(weeks, config, planted, earlier=True, **arm):
    earlier = EarlierRanker.open(weeks.folder, planted.dataset) if earlier else None
    return build_learner(config.ranking, weeks.later, ArmConfig(**arm), None, hidden=(16, 8), seed=11,
                         privileged=False, earlier=earlier)


def test_rows_follow_their_ids_and_a_reused_row_inherits_nothing(weeks, config, planted):
    learner, fresh = (started(weeks, config, planted, earlier) for earlier in (True, False))
    old, new, alone = (one.tables["user"].numpy() for one in (weeks.ranker, learner.ranker, fresh.ranker))
    others = np.setdiff1d(np.arange(len(old)), [*REUSED, *FREED])
    np.testing.assert_array_equal(new[others], old[others])
    changed = [*REUSED, *FREED, len(old)]
    np.testing.assert_array_equal(new[changed], alone[changed])
    assert not np.isin(new[REUSED], old[REUSED]).any()
    for name in ("item", "place"):
        np.testing.assert_array_equal(learner.ranker.tables[name].numpy(), weeks.ranker.tables[name].numpy())
    for one, other in zip(learner.ranker.network.get_weights(), weeks.ranker.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(learner.ranker.tables["user"].slots) > 0
    for name, slot in learner.ranker.tables["user"].slots.items():
        np.testing.assert_array_equal(slot.numpy(), fresh.ranker.tables["user"].slots[name].numpy())


def test_the_number_of_started_ids_is_printed(weeks, config, planted, capsys):
    started(weeks, config, planted)
    assert f"user: 146 of 150 ids start from their rows in {weeks.folder}" in capsys.readouterr().out


def test_tables_that_an_arm_leaves_out_stay_zero(weeks, config, planted):
    learner = started(weeks, config, planted, tables={"user": "absent"})
    assert not learner.ranker.tables["user"].numpy().any()
    np.testing.assert_array_equal(learner.ranker.tables["item"].numpy(), weeks.ranker.tables["item"].numpy())


def test_a_ranker_of_other_vocabularies_needs_its_dataset(weeks, config, tmp_path):
    with pytest.raises(UserError, match="was trained with another vocabulary 'user'"):
        train_arm(config, weeks.later, "scratch", tmp_path / "out", embeddings=None, start_from=weeks.folder)
    with pytest.raises(UserError, match="--start-from, which is missing"):
        train_arm(config, weeks.later, "scratch", tmp_path / "out", embeddings=None,
                  start_from_dataset=weeks.later.folder)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("ranking", "message"), [
    ({"id_dim": 4}, r"has another table 'user' \(\(8, 'int64'\)\) than this configuration \(\(4, 'int64'\)\)"),
    ({"similarity": ("norms",)}, r"has another list of inputs \(\['user \(user\)', .* configuration \(.*'norms'\]")])
def test_a_ranker_of_another_shape_is_refused(weeks, config, planted, ranking, message):
    other = config.model_copy(update={"ranking": config.ranking.model_copy(update=ranking)})
    with pytest.raises(UserError, match=message):
        started(weeks, other, planted)


def test_a_network_of_another_shape_is_refused(weeks, planted):
    earlier = EarlierRanker.open(weeks.folder, planted.dataset)
    other = types.SimpleNamespace(weights=earlier.ranker.network.weights[:-1])
    with pytest.raises(UserError, match="has another network"):
        earlier.start_network(other)


def test_an_arm_that_replaces_its_tables_cannot_start_from_a_ranker(weeks, planted):
    with pytest.raises(UserError, match="no effect on an arm with meda"):
        EarlierRanker.open(weeks.folder, planted.dataset).check(ArmConfig(epochs=2, meda={}))


def test_training_starts_from_the_earlier_ranker(weeks, config, planted, tmp_path):
    """With hardly any learning the rows are those of the earlier ranker; the run has an identity of its own."""
    tree = config.resolved()
    tree["ranking"] |= {"learning_rate": 1e-12, "table_learning_rate": 1e-12, "epochs": 1}
    still = Config.model_validate(tree)
    call = {"embeddings": None, "test": False}
    trained = train_arm(still, weeks.later, "scratch", tmp_path / "out", start_from=weeks.folder,
                        start_from_dataset=planted.dataset.folder, **call)
    rows = np.load(tmp_path / "out" / "tables" / "item.npy")
    np.testing.assert_allclose(rows, weeks.ranker.tables["item"].numpy(), atol=1e-6)
    with pytest.raises(UserError, match="not empty: pass --overwrite"):
        train_arm(still, weeks.later, "scratch", tmp_path / "out", **call)
    assert trained == train_arm(still, weeks.later, "scratch", tmp_path / "out", start_from=weeks.folder,
                                start_from_dataset=planted.dataset.folder, **call)
