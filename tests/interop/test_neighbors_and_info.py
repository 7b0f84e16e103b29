"""Neighbours against a naive search, and the summary of an artifact."""

import json

import numpy as np
import pytest
from handmade_rows import TABLES, save_rows
from typer.testing import CliRunner

import tfrs_pretrain as tp
from tfrs_pretrain.cli import app
from tfrs_pretrain.interop.info import describe
from tfrs_pretrain.interop.neighbors import find_neighbors

ITEM_ROWS = {"é": 2, "b": 4, "": 5, "cc": 6}


def naive(name, *, cosine):
    """(id, similarity) of the other ids, most similar first."""
    query = TABLES["item"][ITEM_ROWS[name]].astype(float)
    found = []
    for other, row in ITEM_ROWS.items():
        vector = TABLES["item"][row].astype(float)
        product = sum(a * b for a, b in zip(query, vector, strict=True))
        if other != name:
            found.append((other, product / np.linalg.norm(query) / np.linalg.norm(vector) if cosine else product))
    return sorted(found, key=lambda entry: -entry[1])


@pytest.mark.parametrize("cosine", [True, False])
def test_neighbors_are_those_of_a_naive_search(cosine, tmp_path):
    opened = tp.Embeddings.open(save_rows(tmp_path / "rows", normalize=cosine))
    for found in find_neighbors(opened, list(ITEM_ROWS), k=10):
        expected = naive(found.id, cosine=cosine)
        assert [entry["id"] for entry in found.neighbors] == [name for name, _ in expected]
        np.testing.assert_allclose([entry["similarity"] for entry in found.neighbors],
                                   [value for _, value in expected], rtol=1e-5)
        assert found.similarity == ("cosine" if cosine else "inner product")
        counts = {"é": 4, "b": 3, "": 2, "cc": 0}
        assert [entry["count"] for entry in found.neighbors] == [counts[name] for name, _ in expected]
        assert found.count == counts[found.id]
    assert len(find_neighbors(opened, ["b"], k=2)[0].neighbors) == 2


def test_the_summary_has_the_numbers_of_the_tables(opened_rows):
    info = describe(opened_rows)
    norms = np.linalg.norm(TABLES["item"][[2, 4, 5, 6]], axis=1)
    assert info["tables"]["item"] == {
        "ids": 4, "dtype": "string", "dim": 3, "shared_rows": 2, "free_rows": 1, "bytes": 7 * 3 * 4,
        "median_count": 2.5, "max_count": 4, "median_norm": pytest.approx(np.median(norms))}
    assert (info["window"], info["similarity"], info["heldout_loss"]) == ("[1, 31)", "cosine", [3.0, 2.5])


def call(*arguments):
    return CliRunner().invoke(app, ["embeddings", *map(str, arguments)])


def test_the_commands_print_tables_and_json(rows_folder):
    shown = call("info", rows_folder).output
    assert "held-out loss by epoch: 3.000 → 2.500" in shown
    assert json.loads(call("info", rows_folder, "--json").output)["tables"]["user"]["ids"] == 4
    [found] = json.loads(call("neighbors", rows_folder, "--id", "b", "--top", 1, "--json").output)
    assert found["neighbors"][0]["id"] == naive("b", cosine=True)[0][0]
    users = call("neighbors", rows_folder, "--table", "user", "--id", 5, "--id", -9).output
    assert "5 (count 6)" in users
    assert "-9 (count 3)" in users


def test_the_export_command_writes_the_folder(rows_folder, tmp_path):
    done = call("export", rows_folder, "--format", "npz", "--table", "user", "--output", tmp_path / "out")
    assert "user: 4 ids, 3 dimensions" in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "user.npz"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["neighbors", "--id", "new"], "id 'new' has no row of its own in table 'item'"),
    (["neighbors", "--table", "user", "--id", "b"], "id 'b' is no integer"),
    (["neighbors", "--table", "shop", "--id", "b"], "no table 'shop'"),
    (["export", "--output", "out", "--format", "xls"], "format 'xls' is unknown"),
])
def test_a_mistake_is_one_line(arguments, message, rows_folder):
    command, *options = arguments
    error = call(command, rows_folder, *options).exception
    assert isinstance(error, tp.UserError)
    assert message in str(error)
    assert "\n" not in str(error)
