"""Prints a validation report: the contents of each split, the worst value of each check, every violation."""

from typing import Any

from rich.table import Column, Table
from rich.text import Text

from tfrs_pretrain.progress import console


def print_report(report: dict[str, Any]) -> None:
    """Prints two tables and one line per violation that names the threshold."""
    console.print(_split_table(report["splits"]), _check_table(report["checks"]), highlight=False)
    for check in report["violations"]:
        place = " ".join(part for part in (check["split"], check["column"]) if part)
        detail = f" ({check['detail']})" if check["detail"] else ""
        console.print(Text(f"✗ {check['threshold']}: {_number(check['value'])} > {_number(check['limit'])}"
                           f"{f' in {place}' if place else ''}{detail}", style="red"), soft_wrap=True)
    if not report["violations"]:
        console.print("[green]✓[/green] all checks passed")


def _split_table(datasets: dict[str, dict[str, Any]]) -> Table:
    table = Table(Column("split", no_wrap=True), "dataset", "examples", "label rate", "user oov", "item oov")
    names = sorted({split for splits in datasets.values() for split in splits})
    for split in names:
        for dataset, splits in datasets.items():
            if split in splits:
                columns = splits[split]["columns"]
                table.add_row(split, dataset, f"{splits[split]['examples']:,}",
                              _number(columns.get("label", {}).get("mean")), _oov_share(columns, "user", "query"),
                              _oov_share(columns, "item", "candidate"))
    return table


def _oov_share(columns: dict[str, Any], *names: str) -> str:
    """Share of out-of-vocabulary values in the first of the named columns that exists."""
    column = next((columns[name] for name in names if name in columns), None)
    return f"{column['oov'] / max(column['values'], 1):.2%}" if column else "-"


def _check_table(checks: list[dict[str, Any]]) -> Table:
    table = Table(Column("check", no_wrap=True), "worst value", "limit", "where")
    seen: set[str] = set()
    for check in checks:  # the worst of each threshold first
        if check["threshold"] not in seen:
            seen.add(check["threshold"])
            where = f"{check['split']} {check['column']}".strip() if check["value"] else ""
            table.add_row(check["threshold"], _number(check["value"]), _number(check["limit"]), where,
                          style="red" if check["violated"] else "")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
