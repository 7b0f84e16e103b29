"""A live model in the session loader: before and after updates, against models of the same states."""

import itertools
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from live_states import SENTINEL, MemoryDelta, make_state, rank_requests, served_state

from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.pushing.chunks import Chunk, delta_chunks, erasing_chunks, no_change
from tfrs_pretrain.serving.session import LoadedModel

KEY = bytes(range(32))
REQUESTS = rank_requests()
FLOAT32, BOTH = (pytest.mark.parametrize("models", dtypes, indirect=True)
                 for dtypes in (["float32"], ["float32", "int8"]))


def save(model, folder):
    """Saves only the signatures that these tests call, which takes a fifth of the time."""
    candidates = {name: spec.spec(name, 1 if spec.side == "user" else None) for name, spec in model.inputs.items()}
    users, items = (tf.TensorSpec([None], dtype, "ids") for dtype in (tf.int64, tf.string))
    functions = {"rank": (model.rank, candidates), **model.extra_functions(),
                 "user_embedding": (lambda ids: model.embedding("user", ids), {"ids": users}),
                 "item_embedding": (lambda ids: model.embedding("item", ids), {"ids": items})}
    tf.saved_model.save(model, str(folder), signatures={
        name: tf.function(function, autograph=False).get_concrete_function(**specs)
        for name, (function, specs) in functions.items()})


class Models:
    """Saved models of both states and the chunks between them."""

    def __init__(self, folder, dtype):
        states = [make_state(later=later) for later in (False, True)]
        settings = LiveSettings(KEY, 0.05)
        for state, name in zip(states, ("earlier", "later"), strict=True):
            live = LiveRanker(state.ranker, state, folder, settings, dtype)
            save(live, folder / name)
            save(ServedRanker(state.ranker, state, folder, dtype), folder / f"static {name}")
            if name == "earlier":
                self.live = live.described_updates()
        self.folder, self.token = folder, self.live["token"]
        before, self.after = (served_state(state, folder / f"dense {number}", dtype)
                              for number, state in enumerate(states))
        change = StateChange.between(before, self.after)
        self.chunks = list(delta_chunks(MemoryDelta(change, "d1"), self.after, self.token, self.live))
        self.tombstones = {"item": change.vocabularies["item"].tombstones}

    def load(self, name="earlier"):
        return LoadedModel(self.folder / name)


@pytest.fixture(scope="module")
def models(request, tmp_path_factory):
    return Models(tmp_path_factory.mktemp("live"), request.param)


@pytest.fixture(scope="module")
def expected(models):
    """Answers of the live models of both states."""
    found = []
    for name in ("earlier", "later"):
        with models.load(name) as model:
            found.append(answers(model))
    return found


@pytest.fixture
def model(models):
    with models.load() as loaded:
        yield loaded


def answers(model, requests=REQUESTS):
    return [{name: values.tobytes() for name, values in model.run(*request).items()} for request in requests]


def update(chunk, settled=0, **changes):
    strings = {"secret": KEY, "predecessor": chunk.predecessor, "successor": chunk.successor}
    sent = chunk.inputs | {name: np.array(value, object) for name, value in strings.items()}
    return sent | {"settled": np.array(settled)} | {name: np.array(value) for name, value in changes.items()}


def variables(model):
    """All values of the model's variables, by name."""
    graph, found = model._session.graph, {}
    with graph.as_default():
        for operation in graph.get_operations():
            if operation.type == "VarHandleOp":
                found[operation.name] = tf.raw_ops.ReadVariableOp(resource=operation.outputs[0],
                                                                  dtype=operation.get_attr("dtype"))
    return model._session.run(found)


def added_items(models, model):
    """Items in the model's memory that the base version does not have."""
    with model._session.graph.as_default():
        table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64,
                                              shared_name=f"added_item_{models.token}")
        keys, _ = tf.raw_ops.LookupTableExportV2(table_handle=table, Tkeys=tf.string, Tvalues=tf.int64)
    return set(model._session.run(keys).tolist())


def contains(model, *expected):
    """Whether the model's variables have each of these numbers."""
    found = [np.asarray(values) for values in variables(model).values() if not isinstance(values, bytes)]
    return [any((values == value).any() for values in found) for value in expected]


@BOTH
def test_an_updated_model_answers_as_one_exported_in_that_state(models, model, expected):
    before, after = expected
    assert len(models.chunks) == 4  # user, item, topic; dense weights
    assert not any(one == other for one, other in zip(before, after, strict=True))
    assert answers(model) == before
    for number, chunk in enumerate(models.chunks, 1):
        assert answers(model) == before  # nothing is visible before the commit
        assert model.run("apply_delta", update(chunk)) == {"version": chunk.successor.encode(), "epoch": number // 4}
    assert answers(model) == after
    assert model.run("delta_version", {})["version"] == b"d1"


@BOTH
def test_a_live_model_answers_as_a_static_one(models, expected):
    for name, found in zip(("earlier", "later"), expected, strict=True):
        with models.load(f"static {name}") as static:
            for request, answer in zip(REQUESTS, found, strict=True):
                for output, values in static.run(*request).items():
                    received = np.frombuffer(answer[output], values.dtype).reshape(values.shape)
                    np.testing.assert_allclose(received, values, rtol=0, atol=1e-6, err_msg=f"{name} {request[0]}")


REFUSED = {
    "another secret": ({"secret": np.array(bytes(32), object)}, "the secret is of another model"),
    "a short secret": ({"secret": np.array(b"short", object)}, "."),
    "another predecessor": ({"predecessor": np.array("other", object)}, "the version is"),
    "too many rows": ({"rows_user": np.array(bytes(8 * 40), object)}, "rows and scales differ in number"),
    "bytes that are no rows": ({"rows_user": np.array(bytes(3), object)}, "."),
    "dense weights of another size": ({"dense": np.array(b"1234", object)}, "expected bytes of dense weights"),
    "an epoch to come": ({"settled": np.array(1)}, "which cannot be settled at"),
    "a negative epoch": ({"settled": np.array(-1)}, "which cannot be settled at"),
    "a shared row that does not exist": ({"shared_item": np.array([9])}, "."),
    "numbers without ids": ({"numbers_topic": np.array([1], np.int32)}, "expected row numbers"),
}


@FLOAT32
def test_a_refused_update_changes_nothing(models, model, expected):
    before = answers(model), model.run("delta_version", {})
    for name, (changes, message) in REFUSED.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            model.run("apply_delta", update(models.chunks[0], commit=1) | changes)
        assert (answers(model), model.run("delta_version", {})) == before, name
    for chunk in models.chunks:  # the lock is free again
        model.run("apply_delta", update(chunk))
        with pytest.raises(tf.errors.InvalidArgumentError, match="the version is"):
            model.run("apply_delta", update(chunk))
    assert answers(model) == expected[1]


@FLOAT32
def test_an_entry_and_a_place_change_again_only_when_they_are_settled(models, model):
    for chunk in models.chunks[:3]:
        model.run("apply_delta", update(chunk, commit=1))
    again = [update(chunk, predecessor=np.array("d1#2", object), successor=np.array("d1#2", object), commit=1)
             for chunk in models.chunks[:3]]
    for request in again:
        with pytest.raises(tf.errors.InvalidArgumentError, match="an id changed less than the grace period ago"):
            model.run("apply_delta", request | {"settled": np.array(0)})
    epoch = 3
    for request in again * 8:  # for ever, with the places that were freed
        epoch = int(model.run("apply_delta", request | {"settled": np.array(epoch)})["epoch"])
    assert epoch == 27


@FLOAT32
def test_ids_without_places_are_refused(models, model):
    chunk = models.chunks[0]
    row, num_free = chunk.inputs["rows_user"].item(), int(model.run("delta_version", {})["free_user"])
    size = 8 if len(chunk.inputs["scales_user"]) else 4 * 8
    scales = np.ones((num_free + 1 if len(chunk.inputs["scales_user"]) else 0, 1), np.float32)
    many = {"ids_user": np.arange(1000, 1001 + num_free), "rows_user": np.array(row[:size] * (num_free + 1), object),
            "scales_user": scales, "shared_user": np.empty(0, np.int64)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="no free places"):
        model.run("apply_delta", update(chunk) | many)
    fewer = many | {"ids_user": many["ids_user"][1:], "rows_user": np.array(row[:size] * num_free, object),
             "scales_user": scales[1:]}
    model.run("apply_delta", update(chunk) | fewer)
    assert model.run("delta_version", {})["free_user"] == 0


@BOTH
def test_tombstones_and_old_rows_leave_the_memory(models, model, expected):
    sentinel = [np.float32(SENTINEL)] if len(models.chunks[0].inputs["scales_user"]) == 0 else []  # int8: other bytes
    assert all(contains(model, *sentinel))
    for chunk in models.chunks:
        model.run("apply_delta", update(chunk))
    assert added_items(models, model) == {b"heir", b"item 2", "ñ 1".encode(), b"new"}
    old, tombstones = model.run("delta_version", {})["old_item"], models.tombstones | {
        "user": models.after.vocabularies["user"].known_ids}
    for settled in (0, 1):  # while a request may read them, nothing is erased
        assert model.run("delta_version", {})["old_item"] == old > 0
        for chunk in erasing_chunks(models.after, tombstones, "d1"):
            model.run("apply_delta", update(chunk, settled))
        assert contains(model, *sentinel) == [not settled] * len(sentinel)
    assert model.run("delta_version", {})["old_item"] == 0
    assert answers(model) == expected[1]  # ids that are known stay
    removed = Chunk("d1", "d2", no_change(models.after) | {"gone_item": np.array([b"heir"], object)})
    model.run("apply_delta", update(removed, settled=1, commit=1))
    for settled in (1, 2):
        for chunk in erasing_chunks(models.after, {"item": pa.array(["heir"])}, "d2"):
            model.run("apply_delta", update(chunk, settled))
        assert (b"heir" in added_items(models, model)) == (settled == 1)


@FLOAT32
def test_concurrent_requests_see_one_state_or_the_other(models, model, expected):
    seen, failures, done = set(), [], threading.Event()

    def read():
        for number in itertools.count():
            index = number % len(REQUESTS)
            [found] = answers(model, REQUESTS[index:index + 1])
            states = [position for position, each in enumerate(expected) if each[index] == found]
            failures.extend([] if states else [index])
            seen.update(states)
            if done.is_set():
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    time.sleep(0.2)
    for chunk in models.chunks:
        model.run("apply_delta", update(chunk))
    time.sleep(0.2)
    done.set()
    for reader in readers:
        reader.join()
    assert (failures, seen) == ([], {0, 1})


@FLOAT32
def test_chunks_that_arrive_at_once_are_applied_one_after_the_other(models, model, expected):
    results = []

    def send(chunk):
        try:
            model.run("apply_delta", update(chunk))
            results.append("applied")
        except tf.errors.InvalidArgumentError:
            results.append("refused")

    for chunk in models.chunks:
        senders = [threading.Thread(target=send, args=[chunk]) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert (results.count("applied"), results.count("refused")) == (4, 12)
    assert answers(model) == expected[1]
