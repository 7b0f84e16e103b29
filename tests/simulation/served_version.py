"""A loaded version: reads the files of a version as TensorFlow does, and answers requests."""

import json

import numpy as np
import pyarrow as pa
from standin_tensorflow import VALUE, CheckpointReader, parse

from tfrs_pretrain.forgetting.exported import placeholder
from tfrs_pretrain.hashing import hash_ids

SIGNATURES = {"serving_default": ("user_id", "item_id", "history"), "user_embedding": ("user_id",),
              "item_embedding": ("item_id",)}


def scores(users, items, histories, weights):
    """Probabilities of rows: float32 [n, dim] twice, a list of [length, dim], and the dense weights."""
    logits = (users * items).sum(axis=1) + np.array([rows.sum() for rows in histories], np.float32)
    logits += np.float32(weights[0].sum() + weights[1].sum())
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def embeddings(values, scales):
    """Rows as they are served, float32."""
    values = values.astype(np.float32)
    return values if scales is None else values * scales


class ServedVersion:
    """A version as a server has it in memory.

    Args:
      lookups: space -> {raw id: row}.
      tables: space -> float32 [rows, dim].
      oov_rows: space -> number of shared rows.
      weights: dense weights.
    """

    def __init__(self, lookups, tables, oov_rows, weights):
        self.lookups, self.tables, self.oov_rows, self.weights = lookups, tables, oov_rows, weights

    @classmethod
    def load(cls, folder):
        """Loads a version from its variables and assets, as TensorFlow does."""
        graph = json.loads((folder / "saved_model.pb").read_text())
        variables = CheckpointReader(folder / "variables" / "variables").values
        lookups, tables = {}, {}
        for space, constants in graph["lookups"].items():
            keys = parse((folder / "assets" / f"{space}.ids").read_bytes(), constants["dtype"]).numpy()
            path = folder / "assets" / f"{space}.rows"
            rows = (parse(path.read_bytes(), "int64").numpy() if path.exists()
                    else constants["oov_rows"] + np.arange(len(keys)))
            lookups[space] = {key.decode() if isinstance(key, bytes) else int(key): int(row)
                              for key, row in zip(keys, rows, strict=True)}
            tables[space] = embeddings(variables[f"_tables/{space}/_rows{VALUE}"],
                                       variables.get(f"_tables/{space}/_scales{VALUE}"))
        weights = [variables[f"_dense/{number}{VALUE}"] for number in range(2)]
        oov_rows = {space: constants["oov_rows"] for space, constants in graph["lookups"].items()}
        return cls(lookups, tables, oov_rows, weights)

    delta_version = None  # it takes no deltas

    @classmethod
    def of_state(cls, state):
        """The version that serves a state of the product, such as a base and its deltas."""
        lookups = {name: dict(zip(vocabulary.known_ids.to_pylist(), vocabulary.id_rows.tolist(), strict=True))
                   for name, vocabulary in state.vocabularies.items()}
        tables = {}
        for name in state.tables:
            stored = state.table(name)
            tables[name] = embeddings(stored.values, stored.scales)
        return cls(lookups, tables, {name: each.oov_rows for name, each in state.vocabularies.items()},
                   state.dense.ranker.network.get_weights())

    def rows(self, space, ids):
        """The rows of raw ids; unknown ids share rows by hash."""
        known = self.lookups[space]
        dtype = pa.int64() if np.asarray(ids).dtype.kind == "i" else pa.string()
        shared = hash_ids(pa.array(list(ids), dtype)) % np.uint64(self.oov_rows[space])
        return [known.get(each, int(row)) for each, row in zip(np.asarray(ids).tolist(), shared, strict=True)]

    def embedding(self, space, ids):
        """float32 [n, dim]."""
        return self.tables[space][self.rows(space, ids)]

    def answer(self, signature, inputs):
        """Answers a request; output name -> values."""
        if signature != "serving_default":
            space = signature.removesuffix("_embedding")
            return {"embedding": self.embedding(space, inputs[f"{space}_id"])}
        histories = [self.embedding("item", np.array([each for each in items if each != ""], object))
                     for items in inputs["history"]]
        return {"score": scores(self.embedding("user", inputs["user_id"]), self.embedding("item", inputs["item_id"]),
                                histories, self.weights)}

    def content(self):
        """Everything that determines answers, as bytes by name, without entries that no caller knows."""
        return {**{f"{space} {raw}": self.tables[space][row].tobytes() for space, known in self.lookups.items()
                   for raw, row in known.items() if not self.stands_for_free_row(space, raw, row)},
                **{f"{space} shared": self.tables[space][:self.oov_rows[space]].tobytes() for space in self.lookups},
                "dense": b"".join(weight.tobytes() for weight in self.weights)}

    def stands_for_free_row(self, space, raw, row):
        """Whether it is the key that ``forget`` has put in the place of an id."""
        key = placeholder(row, "int64" if isinstance(raw, int) else "string")
        return raw == (key if isinstance(key, int) else key.decode()) and not self.tables[space][row].any()
