"""Hook of the documentation site that adds the pages generated from the code."""

from __future__ import annotations

from typing import Any

from command_pages import command_pages
from configuration_pages import configuration_pages
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages."""
    for path, text in (configuration_pages() | command_pages()).items():
        files.append(File.generated(config, path, content=text))
    return files
