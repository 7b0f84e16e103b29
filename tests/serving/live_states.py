"""Untrained rankers in two states, with all that an update can change, and the chunks from one to the other."""

import dataclasses

import numpy as np
import pyarrow as pa

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.model.backbones.mlp import Mlp
from tfrs_pretrain.ranking.model.cold_rows import ColdRule
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.deltas.dense_part import DensePart, save_dense_files
from tfrs_pretrain.serving.deltas.state import ServedState
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.vocabulary import Vocabulary

SCHEMA = Schema.model_validate({
    "user": {"column": "user_id", "dtype": "int64"}, "item": {"column": "item_id", "dtype": "string"}, "time": "time",
    "window": "time", "label": "clicked", "history": {"length": 3}, "features": [
        {"name": "topic", "source": "items", "kind": "categorical", "dtype": "string"},
        {"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"}]})
DIMS = {"user": 8, "item": 8, "topic": 4}
# Position 2 of the items is free.
ITEMS = [f"item {number}" for number in range(12)]
BEFORE = {"user": list(range(100, 120)), "item": [*ITEMS[:2], None, *ITEMS[3:]], "topic": ["a", "b", "c"]}
# "item 4" is replaced by an heir, "item 5" is gone, "item 2" takes the free row; topics b and c exchange their rows.
AFTER = {"user": [*range(100, 120), 7, -1],
         "item": [*ITEMS[:2], "item 2", "item 3", "heir", None, *ITEMS[6:], "ñ 1", "new"],
         "topic": ["a", "c", "b", "d", "e"]}
OOV = {"user": 1, "item": 2, "topic": 1}
SENTINEL = 0.7578125  # exact in float16; in the rows of "item 5", which disappear


@dataclasses.dataclass
class State:
    """A ranker with schema and vocabularies, as ``ServedRanker`` takes it."""

    schema: Schema
    vocabularies: dict
    ranker: object

    def vocabulary(self, name):
        return self.vocabularies[name]

    @property
    def digests(self):
        return {name: vocabulary.digest for name, vocabulary in self.vocabularies.items()}


def make_state(*, later):
    """The earlier or the later state."""
    ids = AFTER if later else BEFORE
    types = {"user": pa.int64(), "item": pa.string(), "topic": pa.string()}
    vocabularies = {name: Vocabulary(array, np.asarray(array.is_valid()).astype(np.int64), OOV[name])
                    for name in ids for array in [pa.array(ids[name], types[name])]}
    random = np.random.default_rng(5)
    moments = {"price": {"mean": 3.5, "std": 1.5} if later else {"mean": 3.0, "std": 2.0}}
    settings = RankingConfig.model_construct(history="mean", similarity=("dot",))
    inputs = Inputs.of(_Dataset(SCHEMA, moments), settings, privileged=False)
    rows = {name: random.normal(size=(40, dim)).astype(np.float32)[:vocabularies[name].num_rows]
            for name, dim in DIMS.items()}
    rows["item"][OOV["item"] + 5] = SENTINEL
    if later:
        changed = np.random.default_rng(6)
        for name, positions in (("user", [0, 3, -1]), ("item", [1, 4, 5, 6, 7, -1]), ("topic", [0, 2, 3, -1])):
            rows[name][positions] = changed.normal(size=(len(positions), DIMS[name]))
    scale = np.float32(1.5 if later else 1)
    rule = ColdRule(OOV["item"], scale * random.normal(size=8).astype(np.float32),
                    {"topic": scale * random.normal(size=(8, 8)).astype(np.float32)[:vocabularies["topic"].num_rows]},
                    {"price": scale * random.normal(size=8).astype(np.float32)})
    ranker = build_ranker(inputs, rows, RankingNetwork(Mlp((8,), 1), 1), cold_rules={"item": rule})
    ranker.network.set_weights([scale * random.normal(size=weight.shape).astype(np.float32)
                                for weight in ranker.network.get_weights()])
    return State(SCHEMA, vocabularies, ranker)


@dataclasses.dataclass
class _Dataset:
    schema: Schema
    moments: dict


def served_state(state, folder, dtype):
    """What deltas compare."""
    folder.mkdir()
    save_dense_files(folder, state.ranker)
    dense = DensePart(folder / "network.keras", folder / "cold_rows.npz",
                      {"inputs": dataclasses.asdict(state.ranker.inputs), "labels": list(state.ranker.labels)})
    stored = {name: StoredRows.quantized(table.numpy(), dtype) for name, table in state.ranker.tables.items()}
    return ServedState(state.schema, state.vocabularies, dense, state.ranker.inputs.tables, stored.__getitem__)


@dataclasses.dataclass
class MemoryDelta:
    """A delta in memory."""

    change: StateChange
    digest: str

    @property
    def manifest(self):
        return self.change.to_json()

    def vocabulary(self, name):
        return self.change.vocabularies[name]

    def table(self, name):
        return self.change.tables[name]


def rank_requests():
    """Requests for known users and for one that becomes known, with all items of both states and unknown ones."""
    items = [*ITEMS, "heir", "ñ 1", "new", "never", "never 2", ""]
    random = np.random.default_rng(9)
    topics = np.array(random.choice(["a", "b", "c", "d", "e", "zzz"], len(items)), object)
    price = random.gamma(2.0, 2.0, len(items)).astype(np.float32)
    price[3] = np.nan
    common = {"item_id": np.array(items, object), "topic": topics, "price": price}
    users = {100: ["item 5", "heir", ""], 7: ["item 1", "never", "new"], 5: ["", "", ""]}
    return [*(("rank", common | {"user_id": np.array([user]), "history": np.array([history], object)})
              for user, history in users.items()),
        ("item_embedding", {"ids": np.array(items, object)}),
        ("user_embedding", {"ids": np.array([*range(99, 121), 7, -1])})]
