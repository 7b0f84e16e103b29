"""Tables of Stage I: its settings, its embedding tables, and the neighbour purity of item rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables.table import Cell, Table, make_table
from tfrs_pretrain.reporting.text.curves import stage_one_label
from tfrs_pretrain.reporting.text.formats import DASH, count, duration, number, percent, size, spaced

FLOAT32_BYTES = 4


def stage_one(results: Mapping[str, Any]) -> Table | None:
    """Return one row per distinct setting: losses before and after training, and the final recall with its interval."""
    rows: list[list[str | Cell]] = []
    for setting in results["stage_one"].get("settings", []):
        epochs = setting["epochs"]
        rows.append([stage_one_label(setting), str(len(epochs) - 1), str(setting["kept_epoch"]),
                     number(epochs[0]["heldout_loss"], 3), number(epochs[-1]["heldout_loss"], 3), _recall(epochs[-1]),
                     str(setting["seeds"]), duration(setting["seconds"]), ", ".join(map(spaced, setting["arms"]))])
    return make_table(["setting", "#epochs", "#kept", "#held-out loss before", "#after", "#recall after", "#seeds",
                       "#time per seed", "used by"], rows) if rows else None


def _recall(epoch: Mapping[str, Any]) -> str:
    """Return the recall at the largest cut-off, with its interval over users if it is known."""
    cutoffs = sorted(int(key.partition("@")[2]) for key in epoch if key.startswith("recall@"))
    name = f"recall@{cutoffs[-1]}" if cutoffs else ""
    ends = epoch.get("intervals", {}).get(name)
    return number(epoch.get(name)) + (f" [{number(ends[0])}, {number(ends[1])}]" if ends else "")


def stage_one_epochs(results: Mapping[str, Any]) -> Table | None:
    """Return the held-out loss by epoch, one row per setting."""
    settings = results["stage_one"].get("settings", [])
    num_columns = max((len(setting["epochs"]) for setting in settings), default=0)
    rows = [[stage_one_label(setting), *(number(epoch["heldout_loss"], 3) for epoch in setting["epochs"]),
             *[DASH] * (num_columns - len(setting["epochs"]))] for setting in settings]
    return make_table(["held-out loss after epoch", *(f"#{epoch}" for epoch in range(num_columns))],
                      rows) if rows else None


def embedding_tables(results: Mapping[str, Any]) -> Table | None:
    """Return the tables of the first setting, with their sizes."""
    settings = results["stage_one"].get("settings", [])
    vocabularies = results["data"][0]["vocabularies"]
    rows = []
    for name, entry in (settings[0]["tables"] if settings else {}).items():
        num_rows, dim = entry["shape"]
        rows.append([name, count(num_rows), count(dim), count(vocabularies.get(name, {}).get("oov_rows")),
                     size(FLOAT32_BYTES * num_rows * dim), entry["vocabulary_digest"][:12]])
    return make_table(["table", "#rows", "#columns", "#shared rows", "#memory", "vocabulary"], rows) if rows else None


def purity(results: Mapping[str, Any]) -> Table | None:
    """Return the neighbour purity of each table beside that of random rows."""
    content = results["embedding_map"]
    if content is None:
        return None
    rows = [[spaced(each["title"]), percent(each["purity"]), percent(content["chance"]),
             percent(sum(each["explained"]))] for each in content["maps"]]
    return make_table(["item rows of", "#neighbour purity", "#by chance", "#variance in the picture"], rows)
