"""A base and its deltas equal the full export bit for bit; a delta contains what changed and no more."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from evolved import rare_ids
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.deltas.delta import StateChange
from tfrs_pretrain.serving.deltas.state import ServedState, read_state
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.exporting.compaction import compact
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.logged_requests import read_logged_requests
from tfrs_pretrain.serving.session import LoadedModel
from tfrs_pretrain.serving.version_folder import read_version
from tfrs_pretrain.vocabulary import Vocabulary

NAME = "planted_ranker"


def served_rows(state):
    """Table -> id -> bytes of its row, with those of shared rows under their numbers."""
    found = {}
    for name, vocabulary in state.tables.items():
        stored, ids = state.table(name), state.vocabularies[vocabulary].ids.to_pylist()
        shared = range(state.vocabularies[vocabulary].oov_rows)
        keys = [*shared, *(("id", each or position) for position, each in enumerate(ids))]
        parts = [stored.values] if stored.scales is None else [stored.values, stored.scales]
        found[name] = {key: b"".join(part[row].tobytes() for part in parts) for row, key in enumerate(keys)}
    return found


def exact(outputs):
    return {name: values.tolist() if values.dtype == object else values.tobytes() for name, values in outputs.items()}


@pytest.fixture(scope="module", params=["chained", "int8_chained"])
def compacted(request, generations, tmp_path_factory):
    """Folder of models with a chain; its compaction; the full export of the last generation."""
    config, original = request.getfixturevalue(request.param)
    models = shutil.copytree(original, tmp_path_factory.mktemp("compacted") / "models")
    full = export(config, *generations[-1], tmp_path_factory.mktemp("full")).path
    return models, compact(models / NAME / "1"), full


def test_base_and_deltas_have_the_rows_and_weights_of_the_full_export(compacted):
    models, _, full = compacted
    found, expected = read_chain(models / NAME / "1").state(), read_state(full, read_version(full))
    rows = served_rows(found)
    assert rows == served_rows(expected)
    assert rows.keys() == {"user", "item", "surface", "topic", "country"}
    arrays = {name: array.tobytes() for name, array in found.dense.arrays.items()}
    assert arrays == {name: array.tobytes() for name, array in expected.dense.arrays.items()}
    assert len(arrays) >= 5


def test_a_compacted_version_answers_every_request_bit_for_bit_as_the_full_export(compacted, generations):
    models, version, expected = compacted
    assert version.path == models / NAME / "2"
    requests = read_logged_requests(expected / "assets.extra/golden_requests.tfrecord")
    assert {request.signature for request in requests} == {
        "serving_default", "rank", "predict_examples", "classify", "regress", "user_embedding", "item_embedding"}
    items = [*generations[-1][0].vocabulary("item").known_ids.to_pylist(), "zweiter Erbe", "first heir", "unknown"]
    with LoadedModel(version.path) as found, LoadedModel(expected) as wanted:
        for signature, inputs in [*((request.signature, request.inputs) for request in requests),
                                  ("item_embedding", {"item_id": np.array(items, object)})]:
            assert exact(found.run(signature, inputs)) == exact(wanted.run(signature, inputs))
    written, other = (read_version(folder) for folder in (version.path, expected))
    for key in ("inputs", "outputs", "signatures", "tables", "operations", "ranker_digest", "vocabularies"):
        assert written[key] == other[key]
    assert "# planted_ranker, version 2\n" in (version.path / "assets.extra/model_card.md").read_text()
    assert json.loads((version.path / "assets.extra/model_card.json").read_text())["version"] == 2
    warmup = "assets.extra/tf_serving_warmup_requests"
    assert (version.path / warmup).read_bytes() == (expected / warmup).read_bytes()
    assert compact(models / NAME / "1").path == version.path  # repeated: kept


def test_a_delta_contains_the_changed_rows_and_the_tombstones(chained, generations):
    base = generations[0][0].vocabulary("item")
    rare, known = rare_ids(generations[0][0]), len(base.ids)
    first, second = read_chain(chained[1] / NAME / "1").deltas
    ids = pq.read_table(first.folder / "vocabulary/item/changed.parquet").to_pydict()
    assert dict(zip(ids["position"], ids["id"], strict=True)) == {
        rare[0]: "first heir", rare[1]: "zweiter Erbe", rare[2]: None, known: "new 1", known + 1: "new 2",
        known + 2: "ñ 3"}
    gone = pq.read_table(first.folder / "vocabulary/item/tombstones.parquet")["id"].to_pylist()
    assert gone == base.ids.take(rare[:3]).to_pylist()
    assert first.manifest["vocabularies"] == {"item": {"ids": known + 3, "changed": 6, "new": 5, "tombstones": 3}}
    assert np.load(first.folder / "tables/user/rows.npy").tolist() == [2, 5]
    assert np.load(first.folder / "tables/item/rows.npy").tolist() == [
        0, *(position + base.oov_rows for position in (*rare[:3], known, known + 1, known + 2))]
    assert {path.name for path in (first.folder / "tables").iterdir()} == {"user", "item"}
    assert not (first.folder / "network.keras").exists()
    assert (second.folder / "network.keras").exists()
    assert pq.read_table(second.folder / "vocabulary/item/tombstones.parquet")["id"].to_pylist() == ["first heir"]
    assert np.load(second.folder / "tables/user/rows.npy").tolist() == [5]
    item = np.load(first.folder / "tables/item/values.npy")
    assert (item.dtype.name, item.shape) == ("float32", (7, 8))


def test_an_identical_export_keeps_the_last_delta(chained, generations):
    config, models = chained
    again = export_delta(config, *generations[2], models, 1)
    assert again.path == models / NAME / "1.deltas/000002"
    assert [path.name for path in sorted((models / NAME / "1.deltas").iterdir())] == ["000001", "000002"]
    assert "Dense weights: changed." in again.summary()


def test_an_identical_export_removes_what_a_run_left_that_was_killed_at_its_end(chained, generations, copied_chain):
    folder = copied_chain.with_name("1.deltas")
    for name in ("full", "000002"):
        (folder / f".{name}.unfinished-0123abcd").mkdir()
    export_delta(chained[0], *generations[2], copied_chain.parent.parent, 1)
    assert sorted(path.name for path in folder.iterdir()) == ["000001", "000002"]


def test_a_change_of_structure_needs_a_full_version(chained, generations):
    config, models = chained
    base = read_chain(models / NAME / "1").base_state()
    other = ServedState(base.schema, base.vocabularies, base.dense, base.tables | {"fresh": "item"}, base.table)
    with pytest.raises(UserError, match="another structure than the base version's: export a full version, without"):
        StateChange.between(base, other)
    words = base.vocabulary("item")
    more = Vocabulary(words.ids, words.counts, words.oov_rows + 1)
    with pytest.raises(UserError, match="vocabulary 'item' has 9 shared rows and string ids, the base version 8 and"):
        VocabularyChange.between(words, more, "item")
    half = config.model_copy(update={"export": config.export.model_copy(update={"table_dtype": "float16"})})
    with pytest.raises(UserError, match=r"table 'user' has 8 float16 columns, the base version 8 float32"):
        export_delta(half, *generations[1], models, 1)
    assert [path.name for path in sorted((models / NAME / "1.deltas").iterdir())] == ["000001", "000002"]


def test_a_version_without_deltas_is_not_compacted(exported):
    with pytest.raises(UserError, match="has no deltas, it is a full version already"):
        compact(exported[0] / NAME / "1")


@pytest.mark.slow
def test_the_commands_write_a_delta_and_compact_it(generations, planted_config, tmp_path):
    export(planted_config, *generations[0], tmp_path)
    dataset, ranker = generations[1]
    arguments = ["export", "--dataset", dataset.folder, "--ranker", ranker, "--models", tmp_path, "--delta-of", 1]
    written = CliRunner().invoke(app, list(map(str, arguments)))
    assert written.exit_code == 0
    assert "Ids: item: 5 new, 3 gone." in written.output
    assert "Dense weights: unchanged." in written.output
    compacted = CliRunner().invoke(app, ["compact", str(tmp_path / NAME / "1")])
    assert (compacted.exit_code, (tmp_path / NAME / "2/saved_model.pb").is_file()) == (0, True)
