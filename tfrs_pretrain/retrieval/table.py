"""An index and an answer as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_index(manifest: Mapping[str, Any], console: Console) -> None:
    """Prints size, recall and latency of each index."""
    recalls = [name for name in next(iter(manifest["indexes"].values())) if name.startswith("recall@")]
    table = Table("index", "size", *recalls, "p50", "p99", title=f"{manifest['items']:,} items, {manifest['columns']} "
                  f"columns; {manifest['measured_users']:,} users asked one by one on one thread", title_justify="left")
    for name, entry in manifest["indexes"].items():
        kind = manifest["approximate"] if name == "approximate" else "every item"
        measured = [*(f"{entry[recall]:.4f}" for recall in recalls),
                    *(f"{entry[place]:.2f} ms" for place in ("p50_ms", "p99_ms") if place in entry)]
        table.add_row(f"{name} ({kind})", f"{entry['bytes'] / 1e6:.1f} MB", *measured)
    console.print(table)


def show_answer(answer: Mapping[str, Any], console: Console) -> None:
    """Prints the items with their scores, and what was assumed."""
    left_out = f", without {answer['seen_left_out']} items seen before" if answer["seen_left_out"] else ""
    table = Table("", "item", "score", "Stage I place", "similarity", title_justify="left",
                  title=f"user {answer['user']}: {answer['candidates']} candidates by {answer['found_by']}{left_out}")
    for place, entry in enumerate(answer["items"], start=1):
        table.add_row(str(place), Text(str(entry["item"])), f"{entry['score']:.4f}", str(entry["retrieved"]),
                      f"{entry['similarity']:.4f}" if "similarity" in entry else "—")
    console.print(table)
    for note in answer["notes"]:
        console.print(Text(f"note: {note}", style="yellow"))
