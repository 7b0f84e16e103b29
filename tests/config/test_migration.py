"""Configurations of version 0.1: stored with artifacts, in users' files, on the command line."""

import copy

import pytest
import yaml

from tfrs_pretrain.config import load_config, migration, parse_config, parse_pretraining
from tfrs_pretrain.config.load import apply_overrides
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_file import load_experiment

# As version 0.1.0 stored it, every default filled in.
PRETRAINING = {
    "dim": 64, "epochs": 6, "batch_size": 2048, "objective": "softmax", "negatives": "in_batch", "uniform_negatives": 0,
    "temperature": 0.07, "learn_temperature": False, "margin": 0.4, "negative_weight": 50.0, "popularity_prior": 0.0,
    "mask_known_positives": False, "normalize": True, "log_q": True, "log_q_form": "classic",
    "remove_accidental_hits": True, "optimizer": "lazy_adam", "learning_rate": 0.002, "schedule": "linear",
    "warmup_steps": 0, "embedding_l2": 0.0, "interval_decay": 0.0, "initial_scale": 0.05, "recall_at": [10, 50],
    "max_queries": 2000}
ARM = {
    "epochs": None, "learning_rate": None, "table_learning_rate": None, "schedule": None, "warmup_steps": None,
    "embedding_l2": None, "interval_decay": None, "transfer": "scratch", "pretrained_learning_rate_scale": 0.1,
    "trainable_from_step": None, "pretrained_dropout": 0.0, "pretrained_dropout_of": "values", "fresh_dim": 0,
    "tables": {}, "anchor": None, "distillation": None, "meda": None, "early_stopping": None}
TABLE = {key: ARM[key] for key in ("transfer", "pretrained_learning_rate_scale", "trainable_from_step",
                                   "pretrained_dropout", "pretrained_dropout_of", "fresh_dim")}
DISTILLATION = {"teacher": None, "weight": 0.3, "temperature": 1.0, "warmup_steps": 0, "hidden": [256, 128],
                "backbone": None, "privileged": True}


def stored(pretraining=(), arm=(), **ranking):
    """A configuration as version 0.1.0 stored it with a dataset."""
    tree = load_config("completejourney").resolved()
    tree["ranking"].pop("evals_per_epoch")
    tree["ranking"] |= {"looks_per_epoch": 0, "arms": {"only": ARM | dict(arm)}, **ranking}
    return tree | {"pretraining": PRETRAINING | dict(pretraining), "export": {**tree["export"], "arm": "only"},
                   "completejourney": {"negatives_per_positive": 8, "max_households": None}}


def objective(**pretraining):
    return parse_config(stored(pretraining), origin="stored").pretraining.objective.model_dump()


def arm(**settings):
    return parse_config(stored(arm=settings), origin="stored").ranking.arms["only"].model_dump(exclude_defaults=True)


def test_a_stored_configuration_of_defaults_is_the_configuration_of_defaults():
    expected = load_config("completejourney", ["ranking.arms={only: {}}", "export.arm=only"])
    assert parse_config(stored(), origin="stored") == expected


def test_the_stored_tree_is_left_alone():
    tree = stored(arm={"tables": {"user": TABLE}})
    before = copy.deepcopy(tree)
    parse_config(tree, ["pretraining.temperature=3"], origin="stored")
    assert tree == before


@pytest.mark.parametrize(("old", "new"), [
    ({"temperature": 0.2, "learn_temperature": True, "normalize": False, "popularity_prior": 0.5},
     {"kind": "softmax", "temperature": 0.2, "learn_temperature": True, "normalize": False, "popularity_prior": 0.5,
      "negatives": {"kind": "in_batch", "log_q": "classic", "remove_accidental_hits": True,
                    "mask_known_positives": False}}),
    ({"negatives": "mixed", "uniform_negatives": 64, "log_q_form": "refined", "mask_known_positives": True},
     {"kind": "softmax", "temperature": 0.07, "learn_temperature": False, "normalize": True, "popularity_prior": 0.0,
      "negatives": {"kind": "mixed", "count": 64, "log_q": "refined", "remove_accidental_hits": True,
                    "mask_known_positives": True}}),
    ({"log_q": False, "remove_accidental_hits": False},
     {"kind": "softmax", "temperature": 0.07, "learn_temperature": False, "normalize": True, "popularity_prior": 0.0,
      "negatives": {"kind": "in_batch", "log_q": "none", "remove_accidental_hits": False,
                    "mask_known_positives": False}}),
    ({"negatives": "uniform", "uniform_negatives": 9, "log_q": False},
     {"kind": "softmax", "temperature": 0.07, "learn_temperature": False, "normalize": True, "popularity_prior": 0.0,
      "negatives": {"kind": "uniform", "count": 9, "mask_known_positives": False}}),
    ({"objective": "cosine_contrastive", "negatives": "uniform", "uniform_negatives": 5, "margin": 0.1,
      "temperature": 3.0},
     {"kind": "cosine_contrastive", "margin": 0.1, "negative_weight": 50.0,
      "negatives": {"kind": "uniform", "count": 5, "mask_known_positives": False}}),
])
def test_stored_objectives(old, new):
    assert objective(**old) == new
    assert parse_pretraining(PRETRAINING | old).objective.model_dump() == new


@pytest.mark.parametrize("old", [
    {"objective": "cosine_contrastive", "negatives": "uniform", "uniform_negatives": 8, "normalize": False},
    {"objective": "cosine_contrastive", "negatives": "uniform", "uniform_negatives": 8, "popularity_prior": 0.5},
    {"objective": "cosine_contrastive", "negatives": "uniform", "uniform_negatives": 8, "learn_temperature": True},
    {"objective": "cosine_contrastive", "negatives": "mixed", "uniform_negatives": 8},
    {"uniform_negatives": 8}, {"negatives": "mixed"}, {"log_q_form": "refined", "remove_accidental_hits": False},
])
def test_what_version_0_1_refused_is_refused(old):
    with pytest.raises(UserError, match=r"configuration 'stored': .*pretraining\.objective"):
        objective(**old)


@pytest.mark.parametrize(("old", "new"), [
    ({"transfer": "warm_start", "pretrained_learning_rate_scale": 1.0},
     {"transfer": {"kind": "warm_start", "pretrained_learning_rate_scale": 1.0}}),
    ({"transfer": "frozen", "pretrained_dropout": 0.5, "pretrained_dropout_of": "rows", "fresh_dim": 4},
     {"transfer": {"kind": "frozen", "pretrained_dropout": 0.5, "pretrained_dropout_of": "rows", "fresh_dim": 4}}),
    ({"transfer": "frozen_then_trainable", "trainable_from_step": 9},
     {"transfer": {"kind": "frozen_then_trainable", "trainable_from_step": 9}}),
    ({"transfer": "random", "pretrained_learning_rate_scale": 0.7}, {"transfer": {"kind": "random"}}),
    ({"tables": {"user": TABLE | {"transfer": "frozen", "fresh_dim": 2}, "item": TABLE | {"transfer": "absent"}}},
     {"tables": {"user": {"kind": "frozen", "fresh_dim": 2}, "item": {"kind": "absent"}}}),
    ({"distillation": DISTILLATION}, {"distillation": {}}),
    ({"distillation": DISTILLATION | {"hidden": [8], "backbone": {"kind": "mlp"}, "privileged": False, "weight": 0.1}},
     {"distillation": {"weight": 0.1, "teacher": {"kind": "online", "hidden": (8,), "backbone": {"kind": "mlp"},
                                                  "privileged": False}}}),
    ({"distillation": DISTILLATION | {"teacher": "there", "hidden": [8]}},
     {"distillation": {"teacher": {"kind": "fixed", "path": "there"}}}),
    ({"epochs": 3, "meda": {"variant": "non_continual", "chunks": None}},
     {"epochs": 3, "meda": {"kind": "non_continual"}}),
    ({"epochs": 3, "meda": {"variant": "continual", "chunks": 2}},
     {"epochs": 3, "meda": {"kind": "continual", "chunks": 2}}),
])
def test_stored_arms(old, new):
    assert arm(**old) == new


@pytest.mark.parametrize(("old", "words"), [
    ({"transfer": "frozen_then_trainable"}, "transfer.trainable_from_step: Input should be a valid integer, not None"),
    ({"transfer": "frozen", "trainable_from_step": 5}, "kind 'frozen' has no such key"),
    ({"pretrained_dropout": 0.5}, "kind 'scratch' has no such key"),
    ({"tables": {"user": TABLE | {"fresh_dim": 8}}}, "'ranking.arms.only.tables.user.fresh_dim'"),
    ({"epochs": 2, "meda": {"variant": "non_continual", "chunks": 3}}, "kind 'non_continual' has no such key"),
    ({"epochs": 2, "meda": {"variant": "continual", "chunks": None}}, "meda.chunks: "),
    ({"transfer": "cold"}, "unknown kind 'cold'"),
])
def test_arms_that_version_0_1_refused_are_refused(old, words):
    with pytest.raises(UserError) as caught:
        arm(**old)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_users_file_with_old_keys(tmp_path):
    tree = load_config("completejourney").resolved()
    tree["pretraining"] = {"temperature": 0.15, "popularity_prior": 0.5, "epochs": 30}
    tree["ranking"] = {"looks_per_epoch": 8, "arms": {"warm": {"transfer": "warm_start", "fresh_dim": 3}}}
    tree["export"]["arm"] = "warm"
    tree["completejourney"] = {"max_households": 9}
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump(tree))
    config = load_config(str(path))
    assert (config.pretraining.epochs, config.pretraining.objective.temperature) == (30, 0.15)
    assert config.pretraining.objective.popularity_prior == 0.5
    assert config.ranking.evals_per_epoch == 8
    assert config.ranking.arms["warm"].transfer.model_dump(exclude_defaults=True) == {
        "kind": "warm_start", "fresh_dim": 3}


def test_old_keys_on_the_command_line_win_over_the_file():
    config = load_config("completejourney", [
        "pretraining.temperature=0.3", "pretraining.negatives=mixed", "pretraining.uniform_negatives=16",
        "ranking.looks_per_epoch=2", "ranking.arms.warm_start.fresh_dim=5"])
    assert config.pretraining.objective.temperature == 0.3
    assert config.pretraining.objective.negatives.model_dump(exclude_defaults=True) == {"kind": "mixed", "count": 16}
    assert config.ranking.evals_per_epoch == 2
    assert (config.ranking.arms["warm_start"].transfer.kind, config.ranking.arms["warm_start"].transfer.fresh_dim) == (
        "warm_start", 5)
    cosine = load_config("completejourney", ["pretraining.objective=cosine_contrastive",
                                             "pretraining.negatives=uniform", "pretraining.uniform_negatives=16"])
    assert cosine.pretraining.objective.model_dump(exclude_defaults=True) == {
        "kind": "cosine_contrastive", "negatives": {"kind": "uniform", "count": 16}}


def test_an_old_key_keeps_the_new_keys_beside_it():
    config = load_config("completejourney", [
        "pretraining.objective.negatives={kind: mixed, count: 3, log_q: none}",
        "pretraining.mask_known_positives=true"])
    assert config.pretraining.objective.negatives.model_dump() == {
        "kind": "mixed", "count": 3, "log_q": "none", "remove_accidental_hits": True, "mask_known_positives": True}


def test_defaults_that_had_no_effect_are_not_mentioned():
    assert not [change for change in migration.migrate(stored())[1] if "no effect" in change]
    assert "pretraining.margin has no effect with softmax and is ignored" in migration.migrate(
        stored({"margin": 0.1}))[1]


def test_one_old_key_alone():
    assert parse_pretraining({"log_q_form": "refined"}).objective.negatives.log_q == "refined"
    assert parse_pretraining({"log_q": True}).objective.negatives.log_q == "classic"
    assert parse_pretraining({"mask_known_positives": True}).objective.negatives.mask_known_positives


def test_new_keys_pass_without_a_change():
    tree = load_config("completejourney", [
        "ranking.arms.new={tables: {user: {kind: warm_start, fresh_dim: 2}}, epochs: 2}"]).resolved()
    assert migration.migrate(tree) == (tree, [])


def test_an_experiments_settings_of_the_demos_logs_move_to_the_logs(tmp_path):
    path = tmp_path / "experiment.yaml"
    tree = {"title": "test", "config": "completejourney", "logs": {"source": "completejourney"}, "baseline": "plain",
            "set": {"completejourney.max_households": 9, "pretraining.epochs": 2}, "arms": {"plain": {}}}
    path.write_text(yaml.safe_dump(tree))
    experiment = load_experiment(path)
    assert experiment.logs.model_dump() == {"source": "completejourney", "negatives_per_positive": 8,
                                            "max_households": 9}
    assert experiment.set == {"pretraining.epochs": 2}
    path.write_text(yaml.safe_dump(tree | {"logs": {"source": "planted"}}))
    assert "completejourney.max_households" in load_experiment(path).set


@pytest.fixture
def notices(monkeypatch):
    """Origin and changes of each line that would be printed."""
    printed = []
    monkeypatch.setattr(migration.error_console, "print", lambda text, **_: printed.append(text.plain))
    monkeypatch.setattr("tfrs_pretrain.config.load.notices", migration.Notices())
    return printed


def test_old_keys_are_named_once_in_one_line(notices):
    for _ in range(2):
        load_config("completejourney", ["ranking.looks_per_epoch=2", "pretraining.margin=0.3"])
    assert notices == ["--set: keys of version 0.1, which the next version refuses: pretraining.margin has no effect "
                       "with softmax and is ignored; ranking.looks_per_epoch -> evals_per_epoch"]
    apply_overrides({"pretraining": {"temperature": 1.0}}, [], origin="mine.yaml")
    assert notices[1:] == ["configuration 'mine.yaml': keys of version 0.1, which the next version refuses: "
                           "pretraining.temperature -> objective"]


def test_many_old_keys_are_counted(notices):
    parse_config(stored({"temperature": 0.2}), origin="stored")
    assert len(notices) == 1
    assert notices[0].startswith("configuration 'stored': keys of version 0.1, which the next version refuses: "
                                 "completejourney: read by the demo's commands only; ")
    assert " more" in notices[0]
    assert "\n" not in notices[0]
