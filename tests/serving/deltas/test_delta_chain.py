"""Chains that are not complete and in order are refused by name."""

import json
import shutil

import pytest
from resealed import rewrite

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import without_digest
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.exporting.compaction import compact
from tfrs_pretrain.serving.exporting.delta import export_delta


def deltas(base):
    return base.with_name("1.deltas")


def changed_manifest(folder, **changes):
    content = without_digest(json.loads((folder / "manifest.json").read_text()))
    rewrite(folder / "manifest.json", content | changes)


def missing(base):
    shutil.rmtree(deltas(base) / "000001")


def duplicate(base):
    shutil.copytree(deltas(base) / "000002", deltas(base) / "000003")


def reordered(base):
    (deltas(base) / "000001").rename(deltas(base) / "x")
    (deltas(base) / "000002").rename(deltas(base) / "000001")
    (deltas(base) / "x").rename(deltas(base) / "000002")


def foreign(base):
    manifest = json.loads((base / "assets.extra/manifest.json").read_text())
    write_manifest(base / "assets.extra", manifest["kind"], without_digest(manifest) | {"arm": "other"}, root=base)


def truncated(base):
    path = deltas(base) / "000002/tables/user/values.npy"
    path.write_bytes(path.read_bytes()[:-1])


def without_manifest(base):
    (deltas(base) / "000002/manifest.json").unlink()


def stale(base):
    """The second delta follows a first one that an aborted run had written."""
    folder = deltas(base) / "000001"
    changed_manifest(folder, run_digest="of another run")


def unknown(base):
    (deltas(base) / "notes").mkdir()


@pytest.mark.parametrize(("damage", "message"), [
    (missing, "delta 000001 of .* is missing, 000002 is there"),
    (duplicate, "000003' contains delta 000002, it was renamed or copied"),
    (reordered, "000001' contains delta 000002, it was renamed or copied"),
    (foreign, "000001' was written for version 1 with digest [0-9a-f]{12}, the base is version 1 with [0-9a-f]{12}"),
    (truncated, "values.npy': expected .* bytes with CRC-32C"),
    (without_manifest, "000002' has no manifest.json"),
    (stale, "000002' follows a predecessor with digest [0-9a-f]{12}, .*left from another or an aborted run"),
    (unknown, "notes' is no delta")])
def test_a_broken_chain_is_refused_by_name(copied_chain, chained, generations, damage, message):
    damage(copied_chain)
    with pytest.raises(UserError, match=message):
        read_chain(copied_chain)
    with pytest.raises(UserError, match=message):
        compact(copied_chain)
    with pytest.raises(UserError, match=message):
        export_delta(chained[0], *generations[1], copied_chain.parents[1], 1)
    assert not (copied_chain.parent / "2").exists()


def test_what_a_killed_run_left_is_ignored_and_removed(copied_chain, chained, generations):
    left = deltas(copied_chain) / ".000003.unfinished-00000000"
    left.mkdir()
    assert len(read_chain(copied_chain).deltas) == 2
    third = export_delta(chained[0], *generations[1], copied_chain.parents[1], 1)
    assert third.path.name == "000003"
    assert sorted(path.name for path in deltas(copied_chain).iterdir()) == ["000001", "000002", "000003"]
    assert len(read_chain(copied_chain).deltas) == 3


def test_a_delta_whose_result_differs_is_refused(copied_chain):
    folder = deltas(copied_chain) / "000002"
    manifest = json.loads((folder / "manifest.json").read_text())
    state = manifest["state"] | {"tables": manifest["state"]["tables"] | {"user": "0" * 64}}
    changed_manifest(folder, state=state)
    with pytest.raises(UserError, match=r"the result differs .* in its part 'tables'"):
        read_chain(copied_chain).state()
    changed_manifest(folder, state=manifest["state"] | {"dense": "0" * 64})
    with pytest.raises(UserError, match="in its part 'dense'"):
        read_chain(copied_chain).state()


def test_a_version_of_an_older_release_has_no_deltas(copied_chain, chained, generations):
    shutil.rmtree(copied_chain / "assets.extra/served_state")
    shutil.rmtree(deltas(copied_chain))
    manifest = without_digest(json.loads((copied_chain / "assets.extra/manifest.json").read_text()))
    write_manifest(copied_chain / "assets.extra", manifest["kind"], manifest, root=copied_chain)
    with pytest.raises(UserError, match=r"has no assets\.extra/served_state, an older release exported it"):
        export_delta(chained[0], *generations[1], copied_chain.parents[1], 1)
