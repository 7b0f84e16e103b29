"""The stand-in to which the simulator pushes, and a live model in the session loader, in the same sequence of calls."""

import random

import numpy as np
import pytest
import tensorflow as tf
from live_model import LiveModel, Places, RefusedError
from live_states import DIMS, OOV, make_state
from test_live_ranker import BOTH, Models, update

from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.live.live_dense import dense_arrays
from tfrs_pretrain.serving.live.push_secret import KeyDigest
from tfrs_pretrain.serving.pushing.chunks import erasing_chunks

STEPS = 120
EMBEDDINGS = ("user", "item")


@pytest.fixture(scope="module")
def models(request, tmp_path_factory):
    return Models(tmp_path_factory.mktemp("live"), request.param)


def stand_in(models):
    """The stand-in of the earlier state."""
    state, live = make_state(later=False), models.live
    dtype = "int8" if len(models.chunks[0].inputs["scales_user"]) else "float32"
    places, tables = {}, {}
    for name, vocabulary in state.vocabularies.items():
        ids = [value.encode() if isinstance(value, str) else value for value in vocabulary.known_ids.to_pylist()]
        places[name] = Places(dict(zip(ids, vocabulary.id_rows.tolist(), strict=True)), OOV[name],
                              vocabulary.num_rows + live["spare"][name])
        stored = StoredRows.quantized(state.ranker.tables[name].numpy(), dtype)
        spare = ((0, live["spare"][name]), (0, 0))
        tables[name] = (name, np.pad(stored.values, spare),
                        None if stored.scales is None else np.pad(stored.scales, spare))
    dense = [*dense_arrays(state.ranker, live["cold_sizes"]).values()]
    numbered = {name for name in places if f"numbers_{name}" in models.chunks[0].inputs}
    return LiveModel(places, tables, dense, KeyDigest.from_json(live["key"]), models.token, numbered)


def drawn_calls(models, stand_in, draw):
    """Yields calls of ``apply_delta``: valid ones, refused ones, repeated ones, with settled and other epochs."""
    erasing = list(erasing_chunks(models.after, models.tombstones, "d1"))
    for _ in range(STEPS):
        chunk = draw.choice([*models.chunks, *erasing])
        settled = draw.choice([0, stand_in.epoch, stand_in.epoch, stand_in.epoch + draw.choice([-1, 1])])
        changes = {"predecessor": np.array(stand_in.version, object), "commit": np.array(draw.randint(0, 1)),
                   "successor": np.array(f"v{draw.randrange(1000)}", object)} if draw.random() < 0.9 else {}
        wrong = draw.choice(WRONG) if draw.random() < 0.15 else {}
        yield update(chunk, settled) | changes | wrong


WRONG = (
    {"secret": np.array(bytes(32), object)}, {"predecessor": np.array("other", object)},
    {"dense": np.array(b"1234", object)}, {"shared_item": np.array([9])}, {"rows_user": np.array(bytes(3), object)},
    {"rows_item": np.array(bytes(8 * 40), object)}, {"numbers_topic": np.arange(7, dtype=np.int32)},
    {"gone_item": np.array([b"item 8", b"never"], object)}, {"sweep": np.array(1)})


def embeddings(stand_in, name, ids):
    """Embeddings of known ids in the stand-in."""
    found = stand_in.snapshot()
    values, scales = found.tables[name]
    rows = [found.lookups[name][key] for key in ids]
    return values[rows].astype(np.float32) * (1 if scales is None else scales[rows])


@BOTH
def test_the_stand_in_answers_and_refuses_as_the_graph(models):
    draw, fake, outcomes = random.Random(3), stand_in(models), []
    with models.load() as model:
        for sent in drawn_calls(models, fake, draw):
            try:
                answer, reasons = fake.apply_delta(sent), None
            except RefusedError as error:
                answer, reasons = None, error.reasons
            try:
                received = {name: values.item() for name, values in model.run("apply_delta", sent).items()}
                assert received == answer
            except tf.errors.InvalidArgumentError as error:
                assert reasons, error.message
                assert any(reason in error.message for reason in reasons) or not reasons[0].startswith("live")
            outcomes.append(reasons[0] if reasons else "applied")
            state = {name: values.item() for name, values in model.run("delta_version", {}).items()}
            assert state == fake.delta_version()
            for name in EMBEDDINGS:
                ids = list(fake.snapshot().lookups[name])
                found = model.run(f"{name}_embedding", {"ids": np.array(ids, object if name == "item" else None)})
                assert np.array_equal(found["embedding"], embeddings(fake, name, ids))
                assert found["embedding"].shape == (len(ids), DIMS[name])
    assert len(set(outcomes)) >= 7, set(outcomes)
    assert outcomes.count("applied") > STEPS / 4
