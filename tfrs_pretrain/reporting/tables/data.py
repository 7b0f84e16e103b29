"""Tables about the data: logs, splits, features, other datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, PAIR_SPLITS
from tfrs_pretrain.reporting.tables.cells import Table, table
from tfrs_pretrain.reporting.text.formats import DASH, count, settings_words, share, words


def logs(results: Mapping[str, Any]) -> Table:
    """Per log: rows read, used, filtered and rejected, with the reasons."""
    return table(["log", "#read", "#used", "#outside all windows", "#rejected", "reasons"], [
        [name, count(account["read"]), count(account["written"]), count(account["filtered"]),
         count(sum(account["rejected"].values())),
         ", ".join(f"{reason}: {rows:,}" for reason, rows in account["rejected"].items()) or DASH]
        for name, account in results["data"][0]["counts"].items()])


def splits(results: Mapping[str, Any]) -> Table:
    """Per split: examples, share of positives (impressions only), shares of unknown users and items."""
    found = results["data"][0]["splits"]
    return table(["split", "#examples", "#positive", "#unknown users", "#unknown items"], [
        [name, count(split["examples"]), share(split.get("label_rate")), share(split.get("oov_user_share")),
         share(split.get("oov_item_share"))]
        for name in (*PAIR_SPLITS, *IMPRESSION_SPLITS) if (split := found.get(name))])


def features(results: Mapping[str, Any]) -> Table:
    """Per feature of the ranker: where it comes from, how many rows it has, who sees it."""
    data = results["data"][0]
    return table(["feature", "from", "kind", "#rows", "seen by"], [
        [feature["name"], feature["source"], f"{words(feature['kind'])}, {feature['dtype']}",
         count(data["vocabularies"].get(feature["name"], {}).get("rows")),
         "teacher only" if feature["privileged"] else "teacher and served model"]
        for feature in data["config"]["schema"]["features"]])


def datasets(results: Mapping[str, Any]) -> Table | None:
    """Datasets that differ from the first; None where all arms share one."""
    rows = [[settings_words(data["differs"]) if place else "as configured",
             ", ".join(map(words, data["arms"])) if place else "all others",
             *(count(data["splits"][name]["examples"]) for name in ("pairs/train", "impressions/train"))]
            for place, data in enumerate(results["data"])]
    return table(["dataset", "used by", "#pairs", "#impressions to train on"], rows) if len(rows) > 1 else None
