"""Tables of Stage I: its settings, its rows, and how many impressions start at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables.cells import Cell, Table, table
from tfrs_pretrain.reporting.text.curves import stage_one_label
from tfrs_pretrain.reporting.text.formats import DASH, count, duration, number, share, size, words

FLOAT32_BYTES = 4


def stage_one(results: Mapping[str, Any]) -> Table | None:
    """Per setting of Stage I: losses before, after, lowest, and recall at the end."""
    rows: list[list[str | Cell]] = []
    for setting in results["stage_one"].get("settings", []):
        epochs = setting["epochs"]
        cutoffs = sorted(int(key.partition("@")[2]) for key in epochs[-1] if key.startswith("recall@"))
        recall = f"recall@{cutoffs[-1]}" if cutoffs else ""
        rows.append([stage_one_label(setting), str(len(epochs) - 1), str(setting["kept_epoch"]),
                     number(epochs[0]["heldout_loss"], 3), number(epochs[-1]["heldout_loss"], 3),
                     number(epochs[-1].get(recall)), str(setting["seeds"]),
                     duration(setting["seconds"]), ", ".join(map(words, setting["arms"]))])
    return table(["setting", "#epochs", "#kept", "#held-out loss before", "#after", "#recall after", "#seeds",
                  "#time a seed", "used by"], rows) if rows else None


def stage_one_epochs(results: Mapping[str, Any]) -> Table | None:
    """Held-out loss by epoch, a row a setting: the numbers of the plot."""
    settings = results["stage_one"].get("settings", [])
    last = max((len(setting["epochs"]) for setting in settings), default=0)
    rows = [[stage_one_label(setting), *(number(epoch["heldout_loss"], 3) for epoch in setting["epochs"]),
             *[DASH] * (last - len(setting["epochs"]))] for setting in settings]
    return table(["held-out loss after epoch", *(f"#{epoch}" for epoch in range(last))], rows) if rows else None


def embedding_tables(results: Mapping[str, Any]) -> Table | None:
    """Tables of the first setting of Stage I."""
    found = results["stage_one"].get("settings", [])
    vocabularies = results["data"][0]["vocabularies"]
    rows = [[name, count(entry["shape"][0]), count(entry["shape"][1]),
             count(vocabularies.get(name, {}).get("oov_rows")),
             size(FLOAT32_BYTES * entry["shape"][0] * entry["shape"][1]), entry["vocabulary_digest"][:12]]
            for name, entry in (found[0]["tables"] if found else {}).items()]
    return table(["table", "#rows", "#columns", "#shared rows", "#memory", "vocabulary"], rows) if rows else None


def coverage(results: Mapping[str, Any]) -> Table | None:
    """Share of each ranking window that starts at a pretrained row: the same for every arm with the same dataset."""
    found: Mapping[str, Any] = next((arm["coverage"] for arm in results["arms"].values() if arm.get("coverage")), {})
    names = list(dict.fromkeys(name for shares in found.values() for name in sorted(
        shares, key=lambda key: (key.endswith("_ids"), key))))
    rows = [[split, *(share(shares.get(name)) for name in names)] for split in ("train", "validation", "test")
            for shares in [found.get(split)] if shares]
    return table(["window", *(f"#{_coverage_name(name)}" for name in names)], rows) if rows else None


def purity(results: Mapping[str, Any]) -> Table | None:
    """Neighbour purity of each table beside chance."""
    drawn = results["embedding_map"]
    if drawn is None:
        return None
    rows = [[words(one["title"]), share(one["purity"]), share(drawn["chance"]), share(sum(one["explained"]))]
            for one in drawn["maps"]]
    return table(["item rows of", "#neighbour purity", "#chance", "#variance in the picture"], rows)


def _coverage_name(key: str) -> str:
    if key == "impressions":
        return "impressions, all rows"
    space, _, unit = key.rpartition("_")
    return f"distinct {space} ids" if unit == "ids" else f"{unit}, {space} row"
