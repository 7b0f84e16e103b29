"""Evaluate a finished stream and write its results, page and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import markupsafe
import yaml
from plotly.offline import get_plotlyjs

from tfrs_pretrain.artifact_names import REPORT_HTML, REPORT_MARKDOWN, RESULTS
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.environment import environment
from tfrs_pretrain.reporting.figures.stream import stream_colours, stream_figure
from tfrs_pretrain.reporting.stream_tables import headline, stream_tables
from tfrs_pretrain.results.collect import to_text
from tfrs_pretrain.results.stream import collect_stream
from tfrs_pretrain.stream_study import StreamStudy


def write_stream(study: StreamStudy) -> dict[str, Any]:
    """Evaluate a stream and write ``results.json``, ``report.html`` and ``report.md`` into its folder.

    Returns:
      the results, as documented in ``tfrs_pretrain.results.stream``.

    Raises:
      UserError: an artifact is missing, unfinished or damaged.
    """
    results = collect_stream(study)
    write_text(study.folder / RESULTS, to_text(results))
    write_stream_report(study.folder, results)
    return results


def write_stream_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Write ``report.html`` and ``report.md`` atomically."""
    figure = stream_figure(results)
    content = dict(results) | {
        "headline": headline(results), "tables": stream_tables(results),
        "num_choosing": sum(window["choosing"] for window in results["judged"]),
        "config_yaml": yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True)}
    drawn = {"stream": {"height": figure.layout.height, "content": json.loads(figure.to_json())}} if figure else {}
    # The script is text of an installed package, which is trusted; escaping would break it.
    page = environment(autoescape=True).get_template("stream.html.j2").render(
        content, figures=drawn, colours=stream_colours(results), plotly_js=markupsafe.Markup(get_plotlyjs()))
    write_text(folder / REPORT_MARKDOWN, environment(autoescape=False).get_template("stream.md.j2").render(content))
    write_text(folder / REPORT_HTML, page)
