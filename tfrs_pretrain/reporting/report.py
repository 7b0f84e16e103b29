"""Write the results of a study as an HTML page that loads nothing from elsewhere, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import markupsafe
import yaml
from plotly.offline import get_plotlyjs

from tfrs_pretrain.artifact_names import REPORT_HTML, REPORT_MARKDOWN
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.environment import environment
from tfrs_pretrain.reporting.figures import figures
from tfrs_pretrain.reporting.figures.embedding_map import category_colours
from tfrs_pretrain.reporting.figures.style import arm_colours, finished_arms
from tfrs_pretrain.reporting.tables import tables
from tfrs_pretrain.reporting.text.findings import findings, frequency_sentence
from tfrs_pretrain.reporting.text.headline import headline
from tfrs_pretrain.reporting.text.measurability import measurability
from tfrs_pretrain.reporting.text.method import method
from tfrs_pretrain.reporting.text.serving_commands import serving_commands
from tfrs_pretrain.reporting.text.tiles import tiles
from tfrs_pretrain.reporting.text.timeline import timeline
from tfrs_pretrain.reporting.text.training_sentences import one_epoch_sentence, stage_one_sentences


def write_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Write ``report.html`` and ``report.md`` atomically.

    Args:
      folder: output folder.
      results: as documented in ``tfrs_pretrain.results``.
    """
    content = _content(results)
    text = environment(autoescape=False).get_template("report.md.j2").render(content)
    page = environment(autoescape=True).get_template("report.html.j2").render(
        content, figures=figures(results), colours=arm_colours(results), tiles=tiles(results),
        map_categories=category_colours(results), serving_commands=serving_commands(results["exported"]),
        # Text of an installed package, which is trusted; escaping would break it.
        plotly_js=markupsafe.Markup(get_plotlyjs()))
    write_text(folder / REPORT_MARKDOWN, text)
    write_text(folder / REPORT_HTML, page)


def _content(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of both templates."""
    windows = timeline(results["data"][0]["config"]["windows"])
    return dict(results) | {
        "headline": headline(results), "findings": findings(results), "measurability": measurability(results),
        "finished": list(finished_arms(results)), "one_epoch_finding": one_epoch_sentence(results),
        "frequency_finding": frequency_sentence(results),
        "stage_one_findings": stage_one_sentences(results["stage_one"]),
        "timeline": windows, "windows": {window["name"]: window["text"] for window in windows},
        "method": method(results),
        "config_yaml": yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        "tables": tables(results),
    }
