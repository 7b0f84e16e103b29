"""What needs no library of others: the configuration of trackers, and a stage without and with a failing one."""

import json

import pytest
from planted import planted_config

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import run_digest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.tracking import stage
from tfrs_pretrain.tracking.background import Background
from tfrs_pretrain.tracking.tracker import Artifact, Tracker, flat_numbers


def config(tracking):
    return Config.model_validate(planted_config() | {"tracking": tracking})


@pytest.mark.parametrize(("written", "names"), [
    ({}, []), ("mlflow", ["mlflow"]), (["openlineage", "mlflow"], ["mlflow", "openlineage"]),
    ({"opentelemetry": {"exporter": "console"}}, ["opentelemetry"])])
def test_short_forms_of_the_section(written, names):
    assert list(config(written).tracking.configured) == names


def test_unknown_trackers_are_refused():
    with pytest.raises(ValueError, match="wandb"):
        config("wandb")


def test_tracking_is_no_part_of_what_determines_a_run():
    tracked, plain = (config(tracking).resolved() for tracking in ("mlflow", {}))
    assert tracked != plain
    assert run_digest(config=tracked, seed=1) == run_digest(config=plain, seed=1)
    assert run_digest(config=plain | {"seed": 5}, seed=1) != run_digest(config=plain, seed=1)


def test_nothing_happens_without_trackers(tmp_path):
    stage.log_scalars(1, {"loss": 0.5})
    with stage.track(config({}), "pretrain", tmp_path) as tracked:
        stage.log_scalars(1, {"loss": 0.5})
    assert tracked._trackers == []
    assert stage._current == []


@pytest.mark.parametrize(("cluster", "kind", "index", "tracks"), [
    (["worker"], "worker", 0, True), (["worker"], "worker", 1, False), (["chief", "worker"], "worker", 0, False),
    (["chief", "worker"], "chief", 0, True)])
def test_one_process_of_several_tracks(monkeypatch, cluster, kind, index, tracks):
    monkeypatch.setenv("TF_CONFIG", json.dumps({
        "cluster": {name: ["a:1", "b:1"] for name in cluster}, "task": {"type": kind, "index": index}}))
    assert stage._is_first_worker() == tracks


def test_a_missing_package_is_refused_before_the_stage(monkeypatch, tmp_path):
    def missing(what, extra):
        raise UserError(f"{what} needs {extra}")

    monkeypatch.setattr(stage, "require", missing)
    with pytest.raises(UserError, match=r"tracking.mlflow needs mlflow"), stage.track(config("mlflow"), "x", tmp_path):
        pytest.fail("the stage has started")


class Recorder(Tracker):
    def __init__(self, fails_at=None):
        self.calls, self._fails_at = [], fails_at

    def start(self, start):
        self._record("start", start.stage)

    def scalars(self, step, values):
        self._record("scalars", step, values)

    def end(self, end):
        self._record("end", end.status, end.error)

    def _record(self, *call):
        self.calls.append(call)
        if call[0] == self._fails_at:
            raise RuntimeError("away\nfrom here")


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """Function: (calls of a tracker during a stage that raises an error or not)."""
    def recorded(error=None, fails_at=None):
        recorder = Recorder(fails_at)
        monkeypatch.setattr(stage, "require", lambda *names: None)
        monkeypatch.setattr(stage, "_creator", lambda name, settings: lambda: recorder)
        with stage.track(config("mlflow"), "pretrain", tmp_path / "output"):
            stage.log_scalars(3, {"loss": 0.5, "auc": None})
            if error:
                raise error
        return recorder.calls

    return recorded


def test_a_tracker_receives_events_in_order(recorded):
    assert recorded() == [("start", "pretrain"), ("scalars", 3, {"loss": 0.5}), ("end", "finished", None)]


def test_an_error_of_the_stage_is_reported_and_raised(recorded):
    with pytest.raises(KeyboardInterrupt):
        recorded(KeyboardInterrupt())
    assert stage._current == []


@pytest.mark.parametrize("event", ["start", "scalars", "end"])
def test_a_failing_tracker_costs_one_line(recorded, event, capsys):
    calls = recorded(fails_at=event)
    assert calls[-1][0] == event
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == ["! tracker mlflow: RuntimeError: away from here; this run is tracked no further by it, and "
                     "continues"]


def test_events_that_do_not_fit_are_dropped_with_one_line(monkeypatch, capsys):
    import threading
    import time

    released = threading.Event()
    monkeypatch.setattr("tfrs_pretrain.tracking.background.MAX_WAITING", 2)
    background = Background("slow", lambda: released.wait(10) and Recorder())
    for step in range(5):
        background.send("scalars", step, {})
    background.close(time.monotonic() + 0.01)
    released.set()
    assert capsys.readouterr().out.count("! tracker slow: it does not keep up") == 1


def test_facts_of_an_artifact(tmp_path):
    assert Artifact.of(tmp_path) == Artifact(str(tmp_path))
    assert Artifact.of("gs://bucket/logs").digest is None
    write_manifest(tmp_path, "ranker", {"counts": {"engagements": {"read": 20000}}, "metrics": {"test": {"auc": 0.5}},
                                        "epochs": [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}]})
    found = Artifact.of(tmp_path)
    assert found.digest == json_digest(read_manifest(tmp_path, "ranker"))
    assert found.counters == {"engagements.read": 20000.0}
    assert found.metrics == {"epoch": 2.0, "loss": 2.0, "test.auc": 0.5}
    assert flat_numbers({"a": {"b": 1, "c": True, "d": "x"}, "e": float("inf"), "f": [1]}) == {"a.b": 1.0}
