"""The templates of the pages."""

from __future__ import annotations

import jinja2

from tfrs_pretrain.reporting.text.formats import FILTERS


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Return the environment of the templates, with the formats as filters."""
    made = jinja2.Environment(loader=jinja2.PackageLoader("tfrs_pretrain.reporting"), autoescape=autoescape,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(FILTERS)
    return made
