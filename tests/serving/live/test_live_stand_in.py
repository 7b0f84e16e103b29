"""The stand-in to which the simulator pushes, and a live model in the session loader, in the same sequence of calls."""

import random

import numpy as np
import pytest
import tensorflow as tf
from live_model import LiveModel, Places, RefusedError
from live_states import DIMS, OOV, MemoryDelta, make_state, served_state
from test_live_ranker import KEY, save, update

from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.live.live_dense import dense_arrays
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.live.push_secret import KeyDigest
from tfrs_pretrain.serving.pushing.chunks import delta_chunks, erasing_chunks
from tfrs_pretrain.serving.session import LoadedModel

STEPS = 120


class Exported:
    """A saved live model, what updates it, and its stand-in."""

    def __init__(self, folder, dtype):
        self.folder, self.state = folder, make_state(later=False)
        ranker = LiveRanker(self.state.ranker, self.state, folder, LiveSettings(KEY, 0.05), dtype)
        save(ranker, folder / "model")
        self.live = ranker.described_updates()
        before, after = (served_state(state, folder / f"dense {number}", dtype)
                         for number, state in enumerate((self.state, make_state(later=True))))
        change = StateChange.between(before, after)
        self.chunks = [*delta_chunks(MemoryDelta(change, "d1"), after, ranker.token, self.live),
                       *erasing_chunks(after, {"item": change.vocabularies["item"].tombstones}, "d1")]
        self.stand_in = LiveModel(
            {name: self._places(name, vocabulary) for name, vocabulary in self.state.vocabularies.items()},
            {name: (name, *self._padded(name, StoredRows.quantized(table.numpy(), dtype)))
             for name, table in self.state.ranker.tables.items()},
            [*dense_arrays(self.state.ranker, self.live["cold_sizes"]).values()], KeyDigest.from_json(self.live["key"]),
            ranker.token, {name for name in OOV if f"numbers_{name}" in self.chunks[0].inputs})

    def _places(self, name, vocabulary):
        ids = [value.encode() if isinstance(value, str) else value for value in vocabulary.known_ids.to_pylist()]
        return Places(dict(zip(ids, vocabulary.id_rows.tolist(), strict=True)), OOV[name],
                      vocabulary.num_rows + self.live["spare"][name])

    def _padded(self, name, stored):
        spare = ((0, self.live["spare"][name]), (0, 0))
        return np.pad(stored.values, spare), None if stored.scales is None else np.pad(stored.scales, spare)


@pytest.fixture(params=["float32", "int8"])
def exported(request, tmp_path):
    return Exported(tmp_path, request.param)


def drawn_calls(chunks, stand_in, draw):
    """Yields calls of ``apply_delta``: valid ones, refused ones, repeated ones, with settled and other epochs."""
    for _ in range(STEPS):
        chunk = draw.choice(chunks)
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


def test_the_stand_in_answers_and_refuses_as_the_graph(exported):
    fake, outcomes = exported.stand_in, []
    with LoadedModel(exported.folder / "model") as model:
        for sent in drawn_calls(exported.chunks, fake, random.Random(3)):
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
            for name in ("user", "item"):
                ids = list(fake.snapshot().lookups[name])
                found = model.run(f"{name}_embedding", {"ids": np.array(ids, object if name == "item" else None)})
                assert np.array_equal(found["embedding"], embeddings(fake, name, ids))
                assert found["embedding"].shape == (len(ids), DIMS[name])
    assert len(set(outcomes)) >= 7, set(outcomes)
    assert outcomes.count("applied") > STEPS / 4
