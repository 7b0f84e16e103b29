"""The result of a verification on the console."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(result: dict[str, Any], console: Console) -> None:
    """Every check, then latency and throughput by transport."""
    checks = Table("", "over", "check", "expected", "came", title=f"{result['model']} version {result['version']}",
                   title_justify="left")
    for check in result["checks"]:
        mark = Text("✓", "green") if check["passed"] else Text("✗", "bold red")
        checks.add_row(mark, check["transport"], Text(check["what"]), Text(check["expected"]), Text(check["came"]))
    console.print(checks)
    if result["load"]:
        _show_load(result["load"], console)
    failed = sum(not check["passed"] for check in result["checks"])
    console.print(Text(f"{failed} of {len(result['checks'])} checks failed" if failed else
                       f"all {len(result['checks'])} checks passed", "bold red" if failed else "green"))


def _show_load(load: dict[str, dict[str, Any]], console: Console) -> None:
    first = next(iter(load.values()))
    table = Table("over", "p50 ms", "p95 ms", "p99 ms", "max ms", "requests/s", title=(
        f"{first['requests']} requests of {first['rows']} rows to {first['signature']}, "
        f"{first['concurrency']} clients"), title_justify="left")
    for transport, found in load.items():
        table.add_row(transport, *(f"{found[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
                      f"{found['requests_per_second']:.0f}")
    console.print(table)
