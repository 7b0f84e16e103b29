"""The evidence of a study as a page that holds everything it needs and loads nothing, and as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import yaml
from plotly.offline import get_plotlyjs

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, GOLDEN_REQUESTS, REPORT_HTML, REPORT_MARKDOWN
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting.figures import figures
from tfrs_pretrain.reporting.figures.embedding_map import categories
from tfrs_pretrain.reporting.figures.styled import arm_colours, finished
from tfrs_pretrain.reporting.tables import tables
from tfrs_pretrain.reporting.text.findings import (
    by_frequency,
    comparison,
    findings,
    headline,
    noise,
    one_epoch,
    stage_one,
)
from tfrs_pretrain.reporting.text.formats import FILTERS, duration, number, signed, size, words
from tfrs_pretrain.reporting.text.method import method
from tfrs_pretrain.reporting.text.timeline import timeline


def write_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Writes ``report.html`` and ``report.md`` by temporary name and rename.

    Args:
      folder: where to.
      results: as ``tfrs_pretrain.results`` documents them.
    """
    content = _content(results)
    markdown = _environment(autoescape=False).get_template("report.md.j2").render(content)
    page = _environment(autoescape=True).get_template("report.html.j2").render(
        content, figures=figures(results), colours=arm_colours(results), tiles=_tiles(results),
        map_categories=categories(results), serving_commands=serving_commands(results["exported"]),
        # Trusted text of an installed package: escaping would break it.
        plotly_js=markupsafe.Markup(get_plotlyjs()))
    write_text(folder / REPORT_MARKDOWN, markdown)
    write_text(folder / REPORT_HTML, page)


def _content(results: Mapping[str, Any]) -> dict[str, Any]:
    """What both templates show."""
    windows = timeline(results["data"][0]["config"]["windows"])
    return dict(results) | {
        "headline": headline(results), "findings": findings(results), "noise": noise(results),
        "finished": list(finished(results)), "one_epoch_finding": one_epoch(results),
        "frequency_finding": by_frequency(results), "stage_one_findings": stage_one(results["stage_one"]),
        "timeline": windows, "windows": {entry["name"]: entry["text"] for entry in windows},
        "method": method(results),
        "config_yaml": yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        "tables": tables(results),
    }


def _environment(*, autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("tfrs_pretrain.reporting"), autoescape=autoescape,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(FILTERS)
    return environment


def _tiles(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """The headline's arm, Stage I and the cost in four numbers."""
    arm = results["headline"]
    entry = comparison(results, arm, results["baseline"])
    tiles = [{"name": f"test {name}", "value": number(results["arms"][arm][f"test_{metric}"]),
              "note": f"{signed(entry[metric]['value'])} to {words(results['baseline'])}" if entry else words(arm)}
             for metric, name in (("auc", "AUC"), ("log_loss", "log loss"))]
    losses = results["stage_one"].get("heldout_loss")
    if losses:
        before = number(results["stage_one"]["heldout_loss_before_training"], 3)
        tiles.append({"name": "Stage I held-out loss", "value": number(losses[-1], 3),
                      "note": f"from {before} before training"})
    return [*tiles, {"name": "whole run", "value": duration(results["seconds"]["total"]),
                     "note": f"peak memory {size(results['peak_rss_bytes'])}"}]


def serving_commands(exported: Mapping[str, Any] | None) -> list[str]:
    """Shell lines that start TensorFlow Serving on the exported model and ask it for its golden requests."""
    if exported is None:
        return []
    name, version = shlex.quote(exported["name"]), Path(exported["path"])
    return [
        f"docker run --rm -p 8501:8501 -e MODEL_NAME={name} \\",
        f"  -v {shlex.quote(str(version.parent.resolve()))}:/models/{name} tensorflow/serving",
        "",
        "# in another shell: the answer holds the scores that the same file ends with",
        f"curl -d @{shlex.quote(str(version / EXTRA_ASSETS / GOLDEN_REQUESTS))} "
        f"http://localhost:8501/v1/models/{name}:predict",
    ]
