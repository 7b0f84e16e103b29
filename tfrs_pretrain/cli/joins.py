"""What a dataset's joins tell before any training: coverage, missing values, and how much pretraining can help."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS
from tfrs_pretrain.data.joins import PRETRAINED_BOTH, PRETRAINING_JOINS, SIDE_TABLE_JOINS
from tfrs_pretrain.data.pretraining_reach import PretrainingReach
from tfrs_pretrain.progress import console
from tfrs_pretrain.reporting.text.formats import percent

ROWS = {**{join.name: f"pretrained {join.space}" for join in PRETRAINING_JOINS}, PRETRAINED_BOTH: "both pretrained",
        **{join.name: f"row in table {join.table}" for join in SIDE_TABLE_JOINS}}
MAX_FEATURES = 8


def show_joins(info: dict[str, Any]) -> None:
    """Prints the coverage of each join, and how much pretraining can help.

    Args:
      info: content of dataset_info.json.
    """
    reach = PretrainingReach.from_info(info)
    if reach is None:
        return
    table = Table("share of impressions with", *reach.coverage)
    for name, words in ROWS.items():
        if any(name in shares for shares in reach.coverage.values()):
            table.add_row(words, *(percent(shares.get(name)) for shares in reach.coverage.values()))
    console.print(table)
    medians = " and ".join(f"{median:,.0f} per {space}" for space, median in reach.engagements_per_id.items())
    console.print(f"engagements in the pretraining window: a median of {medians}", highlight=False, soft_wrap=True)
    unit = "days" if reach.age_unit == "days" else f"steps of {reach.age_unit}"
    ages = ", ".join(f"{window} {age:,.3g}" for window, age in reach.age.items())
    console.print(Text(f"{unit} from the last of them to the start of: {ages}"), soft_wrap=True)
    show_missing(info)


def show_missing(info: dict[str, Any]) -> None:
    """Prints the features of the training impressions with the most missing values."""
    split = info["splits"].get(IMPRESSION_SPLITS[0], {})
    shares = {name: missing / split["examples"] for name, missing in split.get("missing", {}).items() if missing}
    worst = sorted(shares.items(), key=lambda entry: -entry[1])[:MAX_FEATURES]
    if worst:
        text = ", ".join(f"{name} {percent(share)}" for name, share in worst)
        console.print(Text(f"missing values in the training impressions: {text}"), soft_wrap=True)
