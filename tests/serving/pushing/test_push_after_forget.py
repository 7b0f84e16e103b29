"""Ids are forgotten in a live version and its deltas: the chain, the answers, and servers that have the old state."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
from evolved import rare_ids
from live_servers import NAME, live_server

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting import run
from tfrs_pretrain.forgetting.certificate import certificate
from tfrs_pretrain.forgetting.run import check, forget
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.exporting.compaction import compact
from tfrs_pretrain.serving.live.push_secret import read_key
from tfrs_pretrain.serving.pushing.push import push
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
GRACE = 0.2


@pytest.fixture
def copy(pushed, tmp_path):
    """A copy of the live version with its two deltas, and of the full export after the first."""
    models = tmp_path / "models" / NAME
    for name in ("1", "1.deltas"):
        shutil.copytree(pushed[0] / NAME / name, models / name, copy_function=os.link)
    shutil.copytree(pushed[0].parent / "full" / NAME / "1", tmp_path / "full" / NAME / "1", copy_function=os.link)
    return models / "1", tmp_path / "full" / NAME / "1"


def write_ids(folder, *ids):
    (folder / "ids.txt").write_text("".join(f"{value}\n" for value in ids))
    return folder / "ids.txt"


def states(base):
    """Ids and tables after each number of deltas."""
    chain, found = read_chain(base), []
    state = chain.base_state()
    for delta in (None, *chain.deltas):
        if delta is not None:
            state = delta.apply(state)
            delta.check_tables(state)
        found.append(({name: each.ids.to_pylist() for name, each in state.vocabularies.items()},
                      {name: state.table(name).values for name in state.tables}))
    return found


def expected_states(before, space, ids):
    """A naive twin: forgotten ids are null and their rows zero, in each state as long as nobody else has the row."""
    found, lost = [], set()
    for vocabularies, tables in before:
        known = vocabularies[space]
        lost = {row for row in lost if row < len(known) and known[row] is None}
        lost |= {row for row, value in enumerate(known) if value in ids}
        later = [None if row in lost else value for row, value in enumerate(known)]
        oov_rows = len(tables[space]) - len(known)
        table = tables[space].copy()
        table[[oov_rows + row for row in lost]] = 0
        found.append((vocabularies | {space: later}, tables | {space: table}))
    return found


def assert_equal(found, expected):
    assert [each[0] for each in found] == [each[0] for each in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert {name: values.tobytes() for name, values in one.items()} == {
            name: values.tobytes() for name, values in other.items()}


def test_each_state_of_the_chain_loses_the_ids_and_nothing_else(copy, tiny_dataset, tmp_path):
    base, full = copy
    rare = rare_ids(tiny_dataset)
    known = tiny_dataset.vocabulary("item").ids
    # New in the first delta; gone in the first and in the second one; always there.
    ids = ["heir", known[rare[0]].as_py(), known[rare[1]].as_py(), known[0].as_py()]
    before, file = states(base), write_ids(tmp_path, *ids)
    for space, wanted in (("item", ids), ("user", [tiny_dataset.vocabulary("user").ids[3].as_py()])):
        file = write_ids(tmp_path, *wanted)
        result = forget(space, file, [base, full])
        assert result.leaks == []
        assert [entry["kind"] for entry in certificate(result)["artifacts"]].count("delta") == 2
        before = expected_states(before, space, wanted)
        assert_equal(states(base), before)
    assert_equal(states(full), before[1:2])  # the base and its delta are the full export, bit for bit
    assert check("item", write_ids(tmp_path, *ids), [base])[2] == []
    again = forget("item", file.with_name("ids.txt"), [base])
    assert not any(change.removed for change in again.changes)
    forgotten, found = known[0].as_py(), states(base)
    shared = int(hash_ids(pa.array([forgotten]))[0] % np.uint64(tiny_dataset.vocabulary("item").oov_rows))
    for folder, (_, tables) in ((base, found[0]), (compact(base).path, found[-1])):
        with LoadedModel(folder) as model:
            answer = model.run("item_embedding", {"item_id": np.array([forgotten], object)})["embedding"]
            assert answer.tobytes() == tables["item"][shared].tobytes()


def test_a_run_that_was_killed_between_the_version_and_its_deltas_is_continued(copy, tmp_path, monkeypatch):
    base, _ = copy
    before, file, publish = states(base), write_ids(tmp_path, "heir"), run.publish
    file.write_text(f"heir\n{before[0][0]['item'][0]}\n")

    def killed(stage, target):
        if target.name == "000002":
            raise KeyboardInterrupt
        publish(stage, target)

    monkeypatch.setattr(run, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        forget("item", file, [base])
    with pytest.raises(UserError, match="run the same command again"):
        read_chain(base)
    monkeypatch.undo()
    assert forget("item", file, [base]).leaks == []
    assert_equal(states(base), expected_states(before, "item", ["heir", before[0][0]["item"][0]]))


def delta_version(server):
    with GrpcClient(server.grpc, Model(NAME, version=1), timeout=60) as client:
        return client.predict(Predict({}, "delta_version"))["version"].item().decode()


def test_a_server_without_the_ids_is_pushed_to_and_one_with_them_must_load_the_version(copy, pushed, tiny_dataset,
                                                                                       tmp_path):
    base, key = copy[0], read_key(pushed[1])
    rare, known = rare_ids(tiny_dataset), tiny_dataset.vocabulary("item").ids
    with live_server(base.parents[1], tmp_path, versions=[1]) as server:
        token = delta_version(server)
        push(server.grpc, base, key, grace=GRACE)
        old = delta_version(server)
        # Both ids are gone after the second delta.
        forget("item", write_ids(tmp_path, *(known[place].as_py() for place in rare[:2])), [base])
        assert read_chain(base).digest != old
        done = push(server.grpc, base, key, grace=GRACE)
        assert (done.found, done.deltas, done.chunks, done.passed) == (old, (), 1, True)
        assert delta_version(server) == read_chain(base).digest
        forget("item", write_ids(tmp_path, "heir"), [base])
        with pytest.raises(UserError, match="with ids that were forgotten since: restart it"):
            push(server.grpc, base, key, grace=GRACE)
    (tmp_path / "again").mkdir()
    with live_server(base.parents[1], tmp_path / "again", versions=[1]) as server:
        assert delta_version(server) != token
        done = push(server.grpc, base, key, grace=GRACE)
        assert (done.deltas, done.passed) == ((1, 2), True)


@pytest.mark.parametrize(("part", "words"), [("1", "also name that version"), ("1.deltas", "is missing")])
def test_an_incomplete_chain_is_refused(copy, part, words, tmp_path):
    base, _ = copy
    if part == "1":
        shutil.move(base.with_name("1.deltas"), tmp_path / "1.deltas")
        shutil.copytree(base, tmp_path / "1")
        folder = tmp_path / "1.deltas"
    else:
        shutil.rmtree(base.with_name("1.deltas") / "000001")
        folder = base
    with pytest.raises(UserError, match=words):
        forget("item", write_ids(tmp_path, "heir"), [folder])


def test_a_delta_of_another_run_is_refused(copy, tmp_path):
    base, _ = copy
    shutil.copytree(base.with_name("1.deltas") / "000001", base.with_name("1.deltas") / "000003")
    (base.with_name("1.deltas") / "000003/manifest.json").unlink()
    manifest = read_manifest(base.with_name("1.deltas") / "000001", "delta")
    write_manifest(base.with_name("1.deltas") / "000003", "delta", {
        key: value for key, value in manifest.items() if key not in ("kind", "digest", "files")} | {"number": 3})
    with pytest.raises(UserError, match="does not follow the version and the delta before it"):
        forget("item", write_ids(tmp_path, "heir"), [base])

