"""The site builds without a warning and needs no network access."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Builds the site of `make docs` into a temporary folder."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", ".mkdocs.yml",
         "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site):
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert {"index.html", "tutorial.html", "your_data.html", "method.html", "results.html", "serving.html",
            "design.html", "operations.html", "benchmarks.html", "troubleshooting.html", "commands.html",
            "configuration/index.html", "configuration/ranking.html", "configuration/gate.html"} <= pages
    assert not any("hooks" in page for page in pages)


def test_nothing_is_loaded_from_a_network(site):
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        loaded = re.findall(r"""(?:src=|<link[^>]*href=|url\(|@import )["']?(https?:)?//""", path.read_text())
        assert not loaded, path


def test_pages_show_recorded_figures_and_pictures(site):
    assert "benchmarks/beam_throughput.py" in (site / "benchmarks.html").read_text()
    assert 'src="images/one_epoch.png"' in (site / "results.html").read_text()
    assert "<td>warm start</td>" in (site / "results.html").read_text()
