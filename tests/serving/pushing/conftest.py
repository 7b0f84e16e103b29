"""A live version with deltas, for tests that push."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
from evolved import evolve, rare_ids

from tfrs_pretrain.artifact_names import DELTA_KIND, GOLDEN_REQUESTS
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.chain import deltas_folder, read_chain
from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.deltas.dense_part import RANKER_MANIFEST
from tfrs_pretrain.serving.deltas.state import ServedState
from tfrs_pretrain.serving.exporting.compaction import compact
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.model_card import CARD_JSON, CARD_MARKDOWN
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS
from tfrs_pretrain.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def pushed(planted_config, tiny_dataset, ranker_folder, tmp_path_factory):
    """Folder of models with a live version and two deltas, the file of its secret, and a compaction after the first.

    The compaction has a delta of its own. ``full/models`` has the full export of the same state.
    """
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "secret").write_text("0123456789abcdef" * 4)
    tree = planted_config.resolved()
    tree["export"] |= {"live_updates": True, "push_secret": str(folder / "secret")}
    config, rare = Config.model_validate(tree), rare_ids(tiny_dataset)
    exported = export(config, tiny_dataset, ranker_folder, folder / "models")
    assert "Live updates: spare places for user " in exported.report.summary()[-1]
    (folder / "second").mkdir()
    second = evolve(tiny_dataset, ranker_folder, folder / "second", replace={rare[0]: "heir"}, append=["new"],
                    rows={"user": {5: np.full(8, 0.25)}}, dense=True)
    export_delta(config, *second, folder / "models", 1)
    compacted = compact(exported.path)
    write_delta(compacted.path, deltas_folder(exported.path) / "000001", rare, 1)
    export(config, *second, folder / "full")
    write_delta(exported.path, deltas_folder(exported.path) / "000001", rare, 2)
    return folder / "models", folder / "secret"


def write_delta(base, earlier, rare, number):
    """The heir's row changes again and another id is gone, which no golden request has."""
    chain = read_chain(base)
    before = chain.state()
    item, stored = before.vocabulary("item"), before.table("item")
    ids = item.ids.to_pylist()
    ids[rare[1]] = None
    values = stored.values.copy()
    values[item.oov_rows + rare[0]] = 0.125
    later = ServedState(before.schema, before.vocabularies | {
        "item": Vocabulary(pa.array(ids), np.zeros(len(ids), np.int64), item.oov_rows)}, before.dense, before.tables,
        lambda name: StoredRows(values) if name == "item" else before.table(name))
    folder = deltas_folder(base) / f"{number:06d}"
    change = StateChange.between(before, later)
    change.save(folder)
    for file in (GOLDEN_LOGS, GOLDEN_REQUESTS, RANKER_MANIFEST, CARD_JSON, CARD_MARKDOWN):
        shutil.copyfile(earlier / file, folder / file)
    write_manifest(folder, DELTA_KIND, change.to_json() | {
        "base": {"version": chain.manifest["version"], "digest": json_digest(chain.manifest)}, "number": number,
        "predecessor": chain.digest, "report": chain.report})
