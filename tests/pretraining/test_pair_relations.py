"""Stage I on weighted pairs of several surfaces, from the Beam job to the metrics of each surface."""

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import pair_blocks, shuffled_batches, training_columns
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.pretraining.run import pretrain

WEIGHTS = {"click": 1.0, "hide": 0.0, "save": 3.0, "view": 0.25}
SETTINGS = {"batch_size": 512, "objective": {"temperature": 0.2}, "epochs": 2, "recall_at": (20,)}


def configured(weights, **pretraining):
    tree = planted.planted_config()
    tree["schema"]["relation"] = "surface"
    tree["dataset"] |= {"relations": weights, "heldout_fraction": 0.04}
    return tree | {"pretraining": tree["pretraining"] | SETTINGS | pretraining}


def built(folder, planted_logs, weights):
    table = pq.read_table(planted_logs / "engagements.parquet")
    names = np.random.default_rng(0).choice(list(WEIGHTS), table.num_rows, p=[0.3, 0.1, 0.2, 0.4])
    pq.write_table(table.append_column("surface", pa.array(names)), folder / "engagements.parquet")
    tree = configured(weights)
    tree["dataset"]["sources"] = {"engagements": str(folder / "engagements.parquet"), **{
        name: str(planted_logs / f"{name}.parquet") for name in ("impressions", "items", "users")}}
    build(Config.model_validate(tree), folder, folder / "dataset")
    return Dataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def trained(planted_logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("surfaces")
    dataset = built(folder, planted_logs, WEIGHTS)
    return dataset, pretrain(Config.model_validate(configured(WEIGHTS)), dataset, folder / "e"), folder / "e"


def heldout(dataset):
    blocks = list(pair_blocks(dataset.files("pairs/heldout"), pair_columns(dataset.schema)).as_numpy_iterator())
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def naive_losses(dataset, embeddings, pairs):
    """Each held-out pair's loss against all others, logQ and accidental hits, in float64."""
    users, items = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
                    for rows in (embeddings.matrix(name).astype(np.float64) for name in ("user", "item")))
    share = np.maximum(dataset.candidate_probability, 1 / dataset.num_examples("pairs/train"))
    losses = []
    for query, own in zip(pairs["query"], pairs["candidate"], strict=True):
        logits = items @ users[query] / 0.2 - np.log(share)
        others = [logits[item] for item in pairs["candidate"] if item != own]
        losses.append(np.log(np.exp(others).sum() + np.exp(logits[own])) - logits[own])
    return np.array(losses)


def test_batches_contain_the_weight_of_each_pair(trained):
    dataset = trained[0]
    assert training_columns(dataset.schema) == {"query": "int32", "candidate": "int32", "weight": "float32"}
    batches = list(shuffled_batches(dataset.files("pairs/train"), 64, seed=1, epoch=1,
                                    columns=pair_columns(dataset.schema)).as_numpy_iterator())
    relation, weight = (np.concatenate([batch[name] for batch in batches]) for name in ("relation", "weight"))
    assert dataset.relations == ("click", "hide", "save", "view")
    np.testing.assert_array_equal(weight, np.array([1.0, 0.0, 3.0, 0.25], np.float32)[relation])
    assert set(relation) == {0, 2, 3}


def test_losses_are_weighted_and_reported_by_relation(trained):
    dataset, result, folder = trained
    pairs, last = heldout(dataset), result.epochs[-1]
    assert 2 <= len(pairs["query"]) <= SETTINGS["batch_size"]  # one batch, so that all have the same negatives
    losses = naive_losses(dataset, Embeddings.open(folder), pairs)
    assert last["heldout_loss"] == pytest.approx(np.average(losses, weights=pairs["weight"]), abs=1e-4)
    for place, name in ((0, "click"), (2, "save"), (3, "view")):
        expected = losses[pairs["relation"] == place].mean()
        assert last[f"relation_{name}/heldout_loss"] == pytest.approx(expected, abs=1e-4)
    assert last["heldout_loss"] < result.epochs[0]["heldout_loss"]
    assert not [name for name in last if "relation_hide" in name]


def test_recall_by_relation(trained):
    dataset, result, folder = trained
    embeddings, pairs = Embeddings.open(folder), heldout(dataset)
    users, items = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
                    for rows in (embeddings.matrix(name) for name in ("user", "item")))
    first_user, first_item = dataset.schema.user.oov_rows, dataset.schema.item.oov_rows
    train = {(int(user), int(item)) for block in pair_blocks(dataset.files("pairs/train")).as_numpy_iterator()
             for user, item in zip(block["query"], block["candidate"], strict=True)}
    found = {name: [] for name in dataset.relations}
    for user in np.unique(pairs["query"][pairs["query"] >= first_user]):
        ranked = [item for item in np.argsort(-(items @ users[user]), kind="stable").tolist()
                  if item >= first_item and (user, item) not in train][:20]
        for place, name in enumerate(dataset.relations):
            own = (pairs["query"] == user) & (pairs["relation"] == place) & (pairs["candidate"] >= first_item)
            wanted = {item for item in pairs["candidate"][own].tolist() if (user, item) not in train}
            if wanted:
                found[name].append(len(wanted & set(ranked)) / len(wanted))
    got = {name: result.epochs[-1].get(f"relation_{name}/recall@20") for name in dataset.relations}
    assert found["hide"] == []
    assert got == {name: pytest.approx(np.mean(recalls)) if recalls else None for name, recalls in found.items()}


def test_weights_change_the_trained_rows(trained, planted_logs, tmp_path):
    equal = dict.fromkeys(("click", "save", "view"), 5.0) | {"hide": 0.0}
    (tmp_path / "equal").mkdir()
    dataset = built(tmp_path / "equal", planted_logs, equal)
    for name in ("user", "item"):
        assert dataset.digests[name] == trained[0].digests[name]
    pretrain(Config.model_validate(configured(equal)), dataset, tmp_path / "e")
    first, other = (Embeddings.open(folder).matrix("item") for folder in (trained[2], tmp_path / "e"))
    assert np.abs(first - other).max() > 1e-3
