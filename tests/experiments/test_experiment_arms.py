"""Experiment files and their expanded arms, against literals."""

import pytest
import yaml

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import baselines, expand, selected
from tfrs_pretrain.experiments.experiment_file import load_experiment

FILE = {"title": "test", "config": "completejourney", "logs": {"source": "completejourney"}, "seeds": [1, 2],
        "baseline": "plain", "arms": {"plain": None}}


@pytest.fixture
def load(tmp_path):
    """Load a file with some keys of ``FILE`` replaced."""

    def loaded(**keys):
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(FILE | keys, sort_keys=False))
        return load_experiment(path)

    return loaded


def test_each_makes_arms_and_choose_makes_candidates(load):
    arms = expand(load(arms={
        "plain": None,
        "long": {"set": {"arm.epochs": 9, "ranking.hidden": [8]}, "each": {"arm.epochs": [2, 3]},
                 "choose": {"arm.embedding_l2": [0.1, 0.2], "arm.schedule": ["linear", "cosine"]}},
        "wide": {"each": {"ranking.hidden": [[8], [16]], "seedless": [True]}, "teacher": "plain"},
        "listed": {"set": {"a": 1}, "choose": [{"b": 2}, {"a": 3}]},
    }))
    assert [(arm.name, arm.definition, arm.teacher) for arm in arms] == [
        ("plain", "plain", None), ("long_2", "long", None), ("long_3", "long", None),
        ("wide_1_True", "wide", "plain"), ("wide_2_True", "wide", "plain"), ("listed", "listed", None)]
    assert arms[0].candidates == ({},)
    assert arms[2].candidates == tuple(
        {"arm.epochs": 3, "ranking.hidden": [8], "arm.embedding_l2": l2, "arm.schedule": schedule}
        for l2, schedule in ((0.1, "linear"), (0.1, "cosine"), (0.2, "linear"), (0.2, "cosine")))
    assert arms[4].candidates == ({"ranking.hidden": [16], "seedless": True},)
    assert arms[5].candidates == ({"a": 1, "b": 2}, {"a": 3})


def test_selection_includes_teachers_and_the_baseline(load):
    experiment = load(baseline={"best_of": ["plain", "long"]}, arms={
        "plain": None, "long": {"each": {"arm.epochs": [2, 3]}}, "other": None, "taught": {"teacher": "other"}})
    arms = expand(experiment)
    baseline = baselines(experiment, arms)
    assert baseline == ["plain", "long_2", "long_3"]

    def names(*wanted):
        return [arm.name for arm in selected(arms, wanted, baseline)]

    assert names() == ["plain", "long_2", "long_3", "other", "taught"]
    assert names("taught") == ["plain", "long_2", "long_3", "other", "taught"]
    assert names("other", "long_3") == ["long_3", "other"]
    assert names("long") == ["long_2", "long_3"]
    with pytest.raises(UserError, match="--arm 'longer' is not one of the arms"):
        names("longer")


@pytest.mark.parametrize(("keys", "message"), [
    ({"seed": 3}, "unknown key 'seed'"),
    ({"seeds": [1, 1]}, "seeds .* repeat"),
    ({"seeds": []}, "seeds"),
    ({"config": None}, "config is missing"),
    ({"logs": {"source": "netflix"}}, "logs"),
    ({"logs": {"source": "planted", "people": 3}}, "unknown key 'logs.people'; kind 'planted' has no such key"),
    ({"arms": {"a/b": None}}, "arms"),
    ({"arms": {"plain": {"sets": {}}}}, "unknown key 'arms.plain.sets'"),
    ({"arms": {"plain": {"each": {"arm.epochs": []}}}}, "arms.plain.each.arm.epochs"),
])
def test_an_invalid_file_is_refused_with_one_line(load, keys, message):
    with pytest.raises(UserError, match=message) as refused:
        load(**keys)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("arms", "message"), [
    ({"plain": None, "a": {"each": {"arm.epochs": [1]}}, "a_1": None}, "'a_1' is the name of several arms"),
    ({"other": None}, "baseline 'plain' is not one of the arms"),
    ({"plain": {"teacher": "plain"}}, "teacher 'plain' of arm 'plain' must be another arm"),
    ({"plain": {"teacher": "nobody"}}, "teacher 'nobody' of arm 'plain' must be another arm"),
    ({"plain": {"teacher": "a"}, "a": {"choose": {"arm.epochs": [1, 2]}}}, "without a choice of settings"),
    ({"plain": {"each": {"arm.schedule": ["a/b"]}}}, "not a valid folder name"),
])
def test_inconsistent_arms_are_refused(load, arms, message):
    with pytest.raises(UserError, match=message):
        expand(load(arms=arms))
