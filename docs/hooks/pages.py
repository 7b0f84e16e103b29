"""Hooks of the documentation site: pages that are made from the code, and parts of the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from command_pages import command_pages
from configuration_pages import configuration_pages
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

README = Path(__file__).parents[2] / "README.md"
PART = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages."""
    for path, text in (configuration_pages() | command_pages()).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts sections of the README where a page asks for them by heading."""
    return PART.sub(lambda match: readme_section(match.group(1)), markdown)


def readme_section(heading: str, readme: Path = README) -> str:
    """The text under a heading of the README, with its links as they must be in docs/.

    Raises:
      PluginError: there is no such heading.
    """
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", readme.read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        raise PluginError(f"README.md has no section {heading!r}, which a page asks for")
    return found.group(1).strip().replace("](docs/", "](")
