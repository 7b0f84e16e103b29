import numpy as np
import pytest

from tfrs_pretrain.config import ArmConfig, Config
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.seeds import derive_seed
from tfrs_pretrain.ranking.transfer.coverage import coverage
from tfrs_pretrain.ranking.transfer.initial_tables import initial_tables
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained, pretrained_starts


def start(planted, config, embeddings=None, seed=1, privileged=False):
    inputs = Inputs.of(planted.dataset, config.ranking, privileged=privileged)
    arm = ArmConfig(transfer={"kind": "warm_start", "shrinkage": None} if embeddings else "scratch")
    return initial_tables(inputs, planted.dataset, config.ranking, arm, seed=seed, embeddings=embeddings)


def test_random_rows_depend_only_on_seed_and_table(planted, config):
    rows = start(planted, config)
    assert {name: table.shape for name, table in rows.items()} == {"user": (152, 8), "item": (253, 8), "place": (3, 4)}
    assert {table.dtype for table in rows.values()} == {np.dtype(np.float32)}
    assert np.std(rows["item"]) == pytest.approx(0.05, rel=0.05)
    teacher = start(planted, config, privileged=True)
    for name, table in rows.items():
        np.testing.assert_array_equal(table, teacher[name])
    assert not np.array_equal(rows["user"], start(planted, config, seed=2)["user"])
    assert not np.array_equal(rows["user"][0], rows["item"][0])


def test_warm_start_copies_admitted_rows_and_keeps_the_rest_random(planted, planted_embeddings, config):
    scratch, warm = start(planted, config), start(planted, config, Embeddings.open(planted_embeddings))
    np.testing.assert_array_equal(warm["user"][2:], planted.users[2:])
    np.testing.assert_array_equal(warm["item"][3:], planted.items[3:])
    np.testing.assert_array_equal(warm["user"][:2], scratch["user"][:2])
    np.testing.assert_array_equal(warm["item"][:3], scratch["item"][:3])
    np.testing.assert_array_equal(warm["place"], scratch["place"])


def test_shrunk_rows_start_in_the_table_and_unknown_ids_remain_random(planted, planted_embeddings, config):
    inputs = Inputs.of(planted.dataset, config.ranking, privileged=False)
    embeddings, plain = Embeddings.open(planted_embeddings), {"kind": "warm_start", "shrinkage": None}
    arm = ArmConfig(tables={"user": {"kind": "warm_start", "shrinkage": 5.0, "pretrained_rms": 2.0}, "item": plain})
    starts = pretrained_starts(planted.dataset, inputs, config.ranking, arm, embeddings, seed=1)
    rows = initial_tables(inputs, planted.dataset, config.ranking, arm, seed=1, embeddings=embeddings, starts=starts)
    weights = (planted.dataset.vocabulary("user").counts / (planted.dataset.vocabulary("user").counts + 5))[:, None]
    mean = (weights * planted.users[2:]).sum(axis=0) / weights.sum()
    expected = weights * planted.users[2:] + (1 - weights) * mean
    np.testing.assert_allclose(rows["user"][2:], expected * starts["user"].factor, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(rows["user"][:2], start(planted, config)["user"][:2])
    np.testing.assert_array_equal(rows["item"][3:], planted.items[3:])


def test_embeddings_of_another_vocabulary_or_width_are_refused(planted, planted_embeddings, config, tmp_path):
    tree = config.resolved()
    tree["ranking"]["id_dim"] = tree["pretraining"]["dim"] = 16
    with pytest.raises(UserError, match=r"table 'user' has 8 columns, ranking.id_dim is 16: set it to 8"):
        start(planted, Config.model_validate(tree), Embeddings.open(planted_embeddings))
    swapped = {"user": planted.items, "item": planted.users}
    names = {"user": "item", "item": "user"}
    save_embeddings(tmp_path / "foreign", swapped, {n: planted.dataset.vocabulary(names[n]) for n in swapped},
                    {"window": {"start": 0, "end": 10}}, overwrite=False)
    with pytest.raises(UserError, match="another vocabulary"):
        start(planted, config, Embeddings.open(tmp_path / "foreign"))


def test_embeddings_trained_on_the_ranking_window_are_refused(planted, config, tmp_path):
    save_embeddings(tmp_path / "late", {"user": planted.users, "item": planted.items},
                    {name: planted.dataset.vocabulary(name) for name in ("user", "item")},
                    {"window": {"start": 0, "end": 11}}, overwrite=False)
    with pytest.raises(UserError, match=r"must end before the ranking window"):
        start(planted, config, Embeddings.open(tmp_path / "late"))


def test_coverage_counts_impressions_and_distinct_ids(planted, with_split):
    assert is_pretrained(planted.dataset, "item").tolist() == [False] * 3 + [True] * 250
    # Two unknown users share row 0, one unknown item is shown twice; rows from 2 (users) and 3 (items) are pretrained.
    dataset = with_split("validation", user=[2, 2, 2, 0, 0, 3], user_id=[0, 0, 0, 100_000, 100_001, 3],
                         item=[3, 4, 5, 5, 1, 1], item_id=["ítem-0", "ítem-1", "ítem-2", "ítem-2", "new-1", "new-1"])
    shares = coverage(dataset, "impressions/validation")
    assert shares == pytest.approx({"user_impressions": 4 / 6, "user_ids": 2 / 4, "item_impressions": 4 / 6,
                                    "item_ids": 3 / 4, "impressions": 3 / 6})


def test_seeds_of_different_purposes_differ():
    seeds = {derive_seed(seed, *names) for seed in (1, 2) for names in ((), ("user",), ("item",), ("user", "item"))}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)
