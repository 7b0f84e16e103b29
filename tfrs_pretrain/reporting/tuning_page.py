"""Write the result of ``tfrs-pretrain tune`` as an HTML page that loads nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import markupsafe
from plotly.offline import get_plotlyjs

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.environment import environment
from tfrs_pretrain.reporting.figures.tuning import gains
from tfrs_pretrain.reporting.tables.table import Cell, Table, make_table
from tfrs_pretrain.reporting.text.formats import DASH, capitalized, duration, metric_name, number, settings, signed


def write_page(path: Path, result: Mapping[str, Any], config_yaml: str) -> None:
    """Write the page atomically.

    Args:
      path: file to write.
      result: content of ``tune.json``.
      config_yaml: the chosen configuration.
    """
    figure = gains(result)
    drawn = {"gains": {"height": figure.layout.height, "content": json.loads(figure.to_json())}} if figure else {}
    page = environment(autoescape=True).get_template("tuning.html.j2").render(
        dict(result), figures=drawn, colours={}, headline=_headline(result), rung_tables=_rungs(result),
        candidate_table=_candidates(result), metric_words=metric_name(result["metric"]), config_yaml=config_yaml,
        # Text of an installed package, which is trusted; escaping would break it.
        plotly_js=markupsafe.Markup(get_plotlyjs()))
    write_text(path, page)


def _headline(result: Mapping[str, Any]) -> str:
    return capitalized(result["decision"]["reason"])


def _rungs(result: Mapping[str, Any]) -> list[Table]:
    """Return one table for each rung, the best candidate first."""
    return [make_table(["candidate", f"#{metric_name(result['metric'])}", "#gain", "next rung", "by seed"], [
        [Cell(entry["name"], badge="default" if entry["name"] == "default" else None), number(entry["mean"]),
         signed(entry["gain"]), "yes" if entry["kept"] else "", " · ".join(number(value) for value in entry["values"])]
        for entry in rung["entries"]]) for rung in result["rungs"]]


def _candidates(result: Mapping[str, Any]) -> Table:
    return make_table(["candidate", "changes", "outcome", "#seeds", "#Stage I", "#Stage II"], [
        [Cell(name, badge="chosen" if name == result["decision"]["chosen"] else None), settings(entry["settings"]),
         entry["outcome"], str(entry["seeds"]), _stage_one(entry), duration(entry["seconds"]["stage_two"])]
        for name, entry in result["candidates"].items()])


def _stage_one(entry: Mapping[str, Any]) -> Cell:
    seconds = entry["seconds"]["stage_one"]
    return Cell(duration(seconds) if seconds else DASH, ["shared"] if seconds and entry["shares_stage_one"] else ())
