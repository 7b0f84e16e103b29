"""Console output of a verification."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.serving.verification.result import LoadResult, VerificationResult


def show(result: VerificationResult, console: Console) -> None:
    """Prints every check, then latency and throughput by transport."""
    console.print(_checks_table(result))
    if result.load:
        console.print(_load_table(result.load))
    num_failed = sum(not check.passed for check in result.checks)
    summary = (f"{num_failed} of {len(result.checks)} checks failed" if num_failed
               else f"all {len(result.checks)} checks passed")
    console.print(Text(summary, "bold red" if num_failed else "green"))


def _checks_table(result: VerificationResult) -> Table:
    table = Table("", "over", "check", "expected", "received", title=f"{result.model} version {result.version}",
                  title_justify="left")
    for check in result.checks:
        mark = Text("✓", "green") if check.passed else Text("✗", "bold red")
        table.add_row(mark, check.transport, Text(check.what), Text(check.expected), Text(check.received))
    return table


def _load_table(load: dict[str, LoadResult]) -> Table:
    first = next(iter(load.values()))
    table = Table("over", *(f"{name} ms" for name in first.latency_ms), "requests/s", title=(
        f"{first.requests} requests of {first.rows} rows to {first.signature}, {first.concurrency} clients"),
        title_justify="left")
    for transport, measured in load.items():
        table.add_row(transport, *(f"{latency:.2f}" for latency in measured.latency_ms.values()),
                      f"{measured.requests_per_second:.0f}")
    return table
