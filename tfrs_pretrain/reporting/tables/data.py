"""Tables of the data: logs, splits, features, distinct datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, PAIR_SPLITS
from tfrs_pretrain.reporting.tables.table import Table, make_table
from tfrs_pretrain.reporting.text import formats
from tfrs_pretrain.reporting.text.formats import DASH, count, percent, spaced


def logs(results: Mapping[str, Any]) -> Table:
    """Return one row per log: numbers of rows that were read, used, filtered and rejected, with the reasons."""
    return make_table(["log", "#read", "#used", "#outside all windows", "#rejected", "reasons"], [
        [name, count(counts["read"]), count(counts["written"]), count(counts["filtered"]),
         count(sum(counts["rejected"].values())),
         ", ".join(f"{reason}: {num_rows:,}" for reason, num_rows in counts["rejected"].items()) or DASH]
        for name, counts in results["data"][0]["counts"].items()])


def splits(results: Mapping[str, Any]) -> Table:
    """Return one row per split: examples, share of positives (impressions only), shares of unknown users and items."""
    by_name = results["data"][0]["splits"]
    return make_table(["split", "#examples", "#positive", "#unknown users", "#unknown items"], [
        [name, count(split["examples"]), percent(split.get("label_rate")), percent(split.get("oov_user_share")),
         percent(split.get("oov_item_share"))]
        for name in (*PAIR_SPLITS, *IMPRESSION_SPLITS) if (split := by_name.get(name))])


def features(results: Mapping[str, Any]) -> Table:
    """Return one row per feature of the ranker: source, kind, size of its vocabulary, and which models use it."""
    data = results["data"][0]
    return make_table(["feature", "from", "kind", "#rows", "used by"], [
        [feature["name"], feature["source"], f"{spaced(feature['kind'])}, {feature['dtype']}",
         count(data["vocabularies"].get(feature["name"], {}).get("rows")),
         "teacher only" if feature["privileged"] else "teacher and served model"]
        for feature in data["config"]["schema"]["features"]])


def datasets(results: Mapping[str, Any]) -> Table | None:
    """Return one row per distinct dataset; None if all arms share one."""
    first, *others = results["data"]
    if not others:
        return None
    names = [("as configured", "all other arms"),
             *((formats.settings(data["differs"]), ", ".join(map(spaced, data["arms"]))) for data in others)]
    return make_table(["dataset", "used by", "#pairs", "#training impressions"], [
        [*name, *(count(data["splits"][split]["examples"]) for split in ("pairs/train", "impressions/train"))]
        for name, data in zip(names, (first, *others), strict=True)])
