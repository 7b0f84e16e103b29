"""Tables of an index and of recommendations for the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_index(manifest: Mapping[str, Any], console: Console) -> None:
    """Prints the size, recall and latency of each index."""
    recalls = [name for name in next(iter(manifest["indexes"].values())) if name.startswith("recall@")]
    title = (f"{manifest['items']:,} items, {manifest['dim']} dimensions; {manifest['measured_users']:,} users queried "
             "one by one on one thread")
    table = Table("index", "size", *recalls, "p50", "p99", title=title, title_justify="left")
    for name, entry in manifest["indexes"].items():
        kind = manifest["approximate"] if name == "approximate" else "every item"
        measured = [*(f"{entry[recall]:.4f}" for recall in recalls),
                    *(f"{entry[quantile]:.2f} ms" for quantile in ("p50_ms", "p99_ms") if quantile in entry)]
        table.add_row(f"{name} ({kind})", f"{entry['bytes'] / 1e6:.1f} MB", *measured)
    console.print(table)


def show_recommendations(answer: Mapping[str, Any], console: Console) -> None:
    """Prints the items with their scores, and the assumptions."""
    excluded = f", without {answer['seen_excluded']} items seen before" if answer["seen_excluded"] else ""
    title = f"user {answer['user']}: {answer['candidates']} candidates by {answer['retrieved_by']}{excluded}"
    table = Table("", "item", "score", "Stage I rank", "similarity", title=title, title_justify="left")
    for number, entry in enumerate(answer["items"], start=1):
        table.add_row(str(number), Text(str(entry["item"])), f"{entry['score']:.4f}", str(entry["stage_one_rank"]),
                      f"{entry['similarity']:.4f}" if "similarity" in entry else "—")
    console.print(table)
    for note in answer["notes"]:
        console.print(Text(f"note: {note}", style="yellow"))
