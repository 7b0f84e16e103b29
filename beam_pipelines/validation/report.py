"""The report of a validation for people: what each split holds, the worst value of each check, every violation."""

from typing import Any

from rich.table import Column, Table
from rich.text import Text

from tfrs_pretrain.progress import console


def show(report: dict[str, Any]) -> None:
    """Prints tables, and a line for each violation that names the threshold."""
    console.print(_splits(report["splits"]), _checks(report["checks"]), highlight=False)
    for check in report["violations"]:
        place = " ".join(part for part in (check["split"], check["column"]) if part)
        detail = f" ({check['detail']})" if check["detail"] else ""
        console.print(Text(f"✗ {check['threshold']}: {_number(check['value'])} > {_number(check['limit'])}"
                           f"{f' in {place}' if place else ''}{detail}", style="red"), soft_wrap=True)
    if not report["violations"]:
        console.print("[green]✓[/green] every limit held")


def _splits(datasets: dict[str, dict[str, Any]]) -> Table:
    table = Table(Column("split", no_wrap=True), "of", "examples", "label rate", "user oov", "item oov")
    names = sorted({split for splits in datasets.values() for split in splits})
    for split in names:
        for dataset, splits in datasets.items():
            if split in splits:
                columns = splits[split]["columns"]
                table.add_row(split, dataset, f"{splits[split]['examples']:,}",
                              _number(columns.get("label", {}).get("mean")), _oov(columns, "user", "query"),
                              _oov(columns, "item", "candidate"))
    return table


def _oov(columns: dict[str, Any], *names: str) -> str:
    found = next((columns[name] for name in names if name in columns), None)
    return f"{found['oov'] / max(found['values'], 1):.2%}" if found else "-"


def _checks(checks: list[dict[str, Any]]) -> Table:
    table = Table(Column("check", no_wrap=True), "worst value", "limit", "where")
    seen: set[str] = set()
    for check in checks:  # sorted by threshold, the worst first
        if check["threshold"] not in seen:
            seen.add(check["threshold"])
            where = f"{check['split']} {check['column']}".strip() if check["value"] else ""
            table.add_row(check["threshold"], _number(check["value"]), _number(check["limit"]), where,
                          style="red" if check["violated"] else "")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
