"""A live model in the session loader: before and after updates, against static models of the same states."""

import itertools
import json
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from evolved import evolve, rare_ids

from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.deltas.delta import Delta, StateChange
from tfrs_pretrain.serving.deltas.dense_part import DensePart
from tfrs_pretrain.serving.deltas.state import ServedState
from tfrs_pretrain.serving.exporting.golden_impressions import read_golden_impressions
from tfrs_pretrain.serving.exporting.golden_requests import golden_requests
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.graph.signatures import save
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.pushing.chunks import delta_chunks
from tfrs_pretrain.serving.session import LoadedModel

KEY = bytes(range(32))
GRACE = 0.2


@pytest.fixture(scope="module", params=["float32", "int8"])
def dtype(request):
    return request.param


@pytest.fixture(scope="module")
def later(tiny_dataset, ranker_folder, tmp_path_factory):
    rare = rare_ids(tiny_dataset)
    return evolve(tiny_dataset, ranker_folder, tmp_path_factory.mktemp("later"),
                  replace={rare[0]: "first heir", rare[1]: None}, append=["new 1", "ñ 2"],
                  rows={"user": {0: np.full(8, 0.5), 5: np.linspace(-1, 1, 8)}, "item": {3: np.full(8, 0.125)},
                        "surface": {1: np.full(4, 0.3)}}, dense=True)


def state(dataset, ranker, dtype):
    dense = DensePart(ranker / "network.keras", None, json.loads((ranker / "manifest.json").read_text()))
    loaded = load_ranker(ranker, dataset)
    stored = {name: StoredRows.quantized(table.numpy(), dtype) for name, table in loaded.tables.items()}
    return ServedState(dataset.schema, {name: dataset.vocabulary(name) for name in loaded.inputs.tables.values()},
                       dense, loaded.inputs.tables, stored.__getitem__)


class Written(Delta):
    """A delta in memory."""

    def __new__(cls, change, digest):
        delta = object.__new__(cls)
        object.__setattr__(delta, "manifest", change.to_json())
        object.__setattr__(delta, "digest", digest)
        object.__setattr__(delta, "change", change)
        return delta

    def __init__(self, change, digest):
        pass

    def vocabulary(self, name):
        return self.change.vocabularies[name]

    def table(self, name):
        return self.change.tables[name]


@pytest.fixture(scope="module")
def models(tiny_dataset, ranker_folder, later, dtype, tmp_path_factory):
    """(static model, live model, its version, static model of the later state, requests, chunks)."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "assets").mkdir()
    ranker = load_ranker(ranker_folder, tiny_dataset)
    live = LiveRanker(ranker, tiny_dataset, folder / "assets", LiveSettings(KEY, 0.05, GRACE), dtype)
    save(live, folder / "live")
    contents = save(ServedRanker(ranker, tiny_dataset, folder / "assets", dtype), folder / "static")
    save(ServedRanker(load_ranker(later[1], later[0]), later[0], folder / "assets", dtype), folder / "later")
    requests = golden_requests(read_golden_impressions(tiny_dataset, ranker), ReferenceScorer(ranker, tiny_dataset),
                               contents.inputs, contents.classes)
    known = tiny_dataset.vocabulary("item").known_ids.to_pylist()
    items = np.array([*known, "first heir", "new 1", "ñ 2", "no"], object)
    requests = [*((each.signature, each.inputs) for each in requests), ("item_embedding", {"item_id": items})]
    before, after = state(tiny_dataset, ranker_folder, dtype), state(*later, dtype)
    delta = Written(StateChange.between(before, after), "d1")
    chunks = list(delta_chunks(delta, before, after, live.token))
    return folder / "static", folder / "live", live.token, folder / "later", requests, chunks


def answers(model, requests):
    return [{name: values.tolist() if values.dtype == object else values.tobytes()
             for name, values in model.run(signature, inputs).items()} for signature, inputs in requests]


def update(chunk, **changes):
    strings = {"secret": KEY, "predecessor": chunk.predecessor, "successor": chunk.successor}
    sent = chunk.inputs | {name: np.array(value, object) for name, value in strings.items()}
    return sent | {"commit": np.array(int(chunk.last))} | changes


def test_a_live_model_answers_as_the_static_one_before_and_after_an_update(models):
    static, live, _, later, requests, chunks = models
    assert len(chunks) == 4  # user, item, surface; dense weights
    with LoadedModel(static) as one, LoadedModel(later) as other:
        before, after = answers(one, requests), answers(other, requests)
    assert before != after
    with LoadedModel(live) as model:
        assert answers(model, requests) == before
        for chunk in chunks:
            assert answers(model, requests) == before  # nothing is visible before the commit
            assert model.run("apply_delta", update(chunk)) == {"version": chunk.successor.encode()}
        assert answers(model, requests) == after
        assert model.run("delta_version", {})["version"] == b"d1"


@pytest.mark.parametrize(("changes", "message"), [
    ({"secret": np.array(bytes(32), object)}, "the secret is not this model's"),
    ({"secret": np.array(b"short", object)}, ""),
    ({"predecessor": np.array("other", object)}, "the version is"),
    ({"rows_user": np.array(bytes(32), object)}, "rows and scales differ in number"),
    ({"dense": np.array(b"1234", object)}, "expected bytes of dense weights"),
])
def test_a_refused_update_changes_nothing(models, changes, message):
    _, live, token, _, requests, chunks = models
    with LoadedModel(live) as model:
        before = answers(model, requests), {name: int(count) for name, count in model.run("delta_version", {}).items()
                                            if name != "version"}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            model.run("apply_delta", update(chunks[0], **changes))
        found = model.run("delta_version", {})
        assert found.pop("version") == token.encode()
        assert (answers(model, requests), {name: int(count) for name, count in found.items()}) == before
        model.run("apply_delta", update(chunks[0]))  # the lock is free again
        with pytest.raises(tf.errors.InvalidArgumentError, match="the version is"):
            model.run("apply_delta", update(chunks[0]))


def test_an_id_changes_once_in_a_grace_period(models):
    *_, chunks = models
    with LoadedModel(models[1]) as model:
        model.run("apply_delta", update(chunks[0], commit=np.array(1)))
        again = update(chunks[0], predecessor=np.array(chunks[0].successor, object))
        with pytest.raises(tf.errors.InvalidArgumentError, match="less than the grace period ago"):
            model.run("apply_delta", again)
        time.sleep(GRACE)
        model.run("apply_delta", again)


def test_concurrent_requests_see_one_state_or_the_other(models):
    static, live, _, later, requests, chunks = models
    requests = [each for each in requests if each[0] == "rank"]
    with LoadedModel(static) as one, LoadedModel(later) as other:
        expected = [answers(one, requests), answers(other, requests)]
    seen, done, failures = set(), threading.Event(), []
    with LoadedModel(live) as model:
        def read():
            for number in itertools.count():
                index = number % len(requests)
                [found] = answers(model, requests[index:index + 1])
                states = [position for position, each in enumerate(expected) if each[index] == found]
                if not states:
                    failures.append(index)
                seen.update(states)
                if done.is_set():
                    return

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        time.sleep(0.3)
        for chunk in chunks:
            model.run("apply_delta", update(chunk))
        time.sleep(0.3)
        done.set()
        for reader in readers:
            reader.join()
    assert (failures, seen) == ([], {0, 1})
