"""Windows of a stream, chains of pieces, pieces that arms share, and refused settings."""

import datetime

import pytest
import yaml
from planted import planted_config

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import Stream
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, RANKER
from tfrs_pretrain.experiments.stream_plan import StreamPlan
from tfrs_pretrain.experiments.stream_windows import StreamWindows

WARM = {"arm.transfer": "warm_start"}
STREAM = {"start": 20, "length": 2, "windows": 5}


@pytest.fixture
def plan(tmp_path):
    def planned(arms, selection=None, stream=None, **keys):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_config()))
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump({
            "title": "test", "config": "config.yaml", "logs": {"source": "planted"}, "seeds": [1, 2],
            "stream": stream or STREAM, "baseline": next(iter(arms)), "arms": arms} | keys, sort_keys=False))
        return StreamPlan(path, selection or Selection())

    return planned


def windows_of(piece):
    tree = piece.task["config"]["windows"]
    return {name: (tree[name]["start"], tree[name]["end"]) for name in ("pretrain", "train", "validation", "test")}


def of_kind(piece, kind):
    return [need for need in piece.with_dependencies() if need.kind == kind]


def chain(plan, number, seed=1):
    return plan.chain(plan.arms[number], plan.arms[number].candidates[0], seed)


def test_each_ranker_is_trained_on_a_window_and_judged_on_the_next(plan):
    pieces = chain(plan({"scratch": None}), 0)
    datasets = [piece.needs[0] for piece in pieces]
    assert [windows_of(dataset) for dataset in datasets] == [
        {"pretrain": (0, 20), "train": (20, 22), "validation": (22, 24), "test": (24, 26)},
        {"pretrain": (20, 22), "train": (22, 24), "validation": (24, 26), "test": (26, 28)},
        {"pretrain": (22, 24), "train": (24, 26), "validation": (26, 28), "test": (28, 30)},
        {"pretrain": (24, 26), "train": (26, 28), "validation": (28, 30), "test": (30, 32)}]
    assert not any(piece.task["test"] for piece in pieces)
    for number in range(1, 4):
        assert datasets[number].task["extend"]["name"] == datasets[number - 1].name
        assert pieces[number].task["start_from"]["name"] == pieces[number - 1].name
        assert pieces[number].task["start_from_dataset"]["name"] == datasets[number - 1].name
        assert {pieces[number - 1], datasets[number - 1]} <= set(pieces[number].needs)
    assert not {"extend", "start_from"} & (set(datasets[0].task) | set(pieces[0].task))


def test_windows_of_dates():
    stream = Stream(start=datetime.date(2022, 4, 28), length="3d", windows=3)
    tree = planted_config(windows={name: {"start": f"2022-04-{first:02}", "end": f"2022-04-{first + 1:02}"} for
                                   name, first in (("pretrain", 1), ("train", 5), ("validation", 6), ("test", 7))})
    windows = StreamWindows(stream, Config.model_validate(tree)).windows_of_dataset(2)
    assert [str(getattr(windows, name)) for name in ("pretrain", "train", "validation", "test")] == [
        "[2022-04-28 00:00:00, 2022-05-01 00:00:00)", "[2022-05-01 00:00:00, 2022-05-04 00:00:00)",
        "[2022-05-04 00:00:00, 2022-05-07 00:00:00)", "[2022-05-07 00:00:00, 2022-05-10 00:00:00)"]


def test_stage_one_once_is_carried_and_refreshed_rows_were_trained_window_by_window(plan):
    planned = plan({"scratch": None, "once": {"set": WARM}, "every": {"set": {**WARM, "stream.refresh_every": 1}},
                    "second": {"set": {**WARM, "stream.refresh_every": 2, "stream.refresh_epochs": 3}}})
    once, every, second = (chain(planned, number) for number in (1, 2, 3))
    assert once[0] == every[0] == second[0]
    assert [[key for key in ("carried", "start_from") if key in piece.needs[1].task] for piece in once] == [
        [], ["carried"], ["carried"], ["carried"]]
    assert [[key for key in ("carried", "start_from") if key in piece.needs[1].task] for piece in every] == [
        [], ["start_from"], ["start_from"], ["start_from"]]
    assert [[key for key in ("carried", "start_from") if key in piece.needs[1].task] for piece in second] == [
        [], ["carried"], ["start_from"], ["carried"]]
    assert [piece.task.get("refreshed_from") for piece in once] == [None] * 4
    assert [piece.task["refreshed_from"]["name"] for piece in every[1:]] == [piece.needs[1].name for piece in every[:3]]
    assert second[2].task["refreshed_from"]["name"] == second[1].needs[1].name
    assert second[1] == once[1]
    epochs = [piece.task["config"]["pretraining"]["epochs"] for piece in of_kind(second[2], EMBEDDINGS)
              if "carried" not in piece.task]
    assert epochs == [3, 3, 3]  # the first is that of the configuration


def test_sliding_windows_have_the_vocabularies_of_the_chain(plan):
    planned = plan({"scratch": None, "sliding": {"set": {"stream.sliding_windows": 2}}})
    scratch, sliding = chain(planned, 0), chain(planned, 1)
    assert sliding[0] == scratch[0]
    for number in (1, 2, 3):
        ours, theirs = (pieces[number].needs[0] for pieces in (sliding, scratch))
        assert ours.task["extend"] == theirs.task["extend"]
        before = windows_of(theirs)
        assert windows_of(ours) == before | {"train": (before["train"][0] - 2, before["train"][1])}
        assert not {"start_from", "start_from_dataset"} & set(sliding[number].task)


def test_arms_seeds_and_candidates_share_datasets(plan):
    planned = plan({"scratch": {"choose": {"arm.epochs": [1, 2]}}, "once": {"set": WARM}, "frozen": {
        "set": {"arm.transfer": "frozen"}}})
    every = {need for arm in planned.arms for settings in arm.candidates for piece in planned.targets(arm, settings)
             for need in piece.with_dependencies()}
    assert {kind: sum(piece.kind == kind for piece in every) for kind in (DATASET, EMBEDDINGS, RANKER)} == {
        DATASET: 4, EMBEDDINGS: 2 * 4, RANKER: 2 * 4 * (2 + 1 + 1)}


def test_only_the_choosing_windows_decide(plan):
    planned = plan({"scratch": {"choose": {"arm.epochs": [1, 2]}}}, stream=STREAM | {"windows": 6, "choosing": 2})
    trials = planned.trials(planned.arms[0])
    assert [len(pieces) for pieces in trials] == [2, 2]
    for pieces, settings in zip(trials, planned.arms[0].candidates, strict=True):
        assert pieces == planned.chain(planned.arms[0], settings, 1)[:2]
        assert max(windows_of(need)["validation"][1] for piece in pieces for need in of_kind(piece, DATASET)) == 26
    assert Stream(start=0, length=1, windows=22).num_choosing == 5
    assert Stream(start=0, length=1, windows=4).num_choosing == 1


@pytest.mark.parametrize(("settings", "message"), [
    ({**WARM, "stream.sliding_windows": 2}, "trains from scratch"),
    ({"stream.refresh_every": 2}, "needs pretrained rows"),
    ({"arm.meda": {}, "arm.epochs": 2}, "meda replaces the tables"),
    ({"arm.early_stopping": {}, "arm.epochs": 2}, "early_stopping would read the judged window"),
    ({"arm.distillation": {}}, "distillation is not carried"),
    ({"windows.pretrain.end": 18}, "the stream determines all windows"),
    ({"stream.refresh": 2}, "refresh"),
    ({"stream.refresh_every": 0}, "greater than or equal to 1")])
def test_arms_that_cannot_be_carried_are_refused(plan, settings, message):
    with pytest.raises(UserError, match=message):
        plan({"scratch": None, "bad": {"set": settings}})


@pytest.mark.parametrize(("keys", "message"), [
    ({"stream": {"start": 20, "length": "2d", "windows": 5}}, "do not fit"),
    ({"stream": {"start": 20, "length": 2, "windows": 3, "choosing": 2}}, "leaves none of the 2 judged windows"),
    ({"stream": STREAM, "logs": {"source": "dataset"}, "config": None}, "builds a dataset for each window")])
def test_streams_that_cannot_be_run_are_refused(plan, keys, message):
    with pytest.raises(UserError, match=message):
        plan({"scratch": None}, **keys)


def test_an_experiment_without_a_stream_refuses_its_keys(plan, tmp_path):
    plan({"scratch": None})
    path = tmp_path / "experiment.yaml"
    tree = yaml.safe_load(path.read_text())
    del tree["stream"]
    tree["arms"]["scratch"] = {"set": {"stream.sliding_windows": 2}}
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match="stream"):
        Plan(path, Selection())
