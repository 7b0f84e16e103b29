"""The page in a real browser: no errors, and every plot has a size."""

import re
import shutil
import subprocess

import pytest

from tfrs_pretrain.reporting.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
# Errors show in the page that is dumped, because a headless browser has no console to read.
PROBE = """<script>
const note = (message) => document.documentElement.setAttribute("data-error", message);
window.addEventListener("error", (event) => note(event.message));
window.addEventListener("unhandledrejection", (event) => note(event.reason));
window.addEventListener("load", () => setTimeout(() => document.querySelectorAll(".plot").forEach((plot) => {
  const size = plot.querySelector("svg.main-svg")?.getBoundingClientRect();
  plot.setAttribute("data-size", size ? `${Math.round(size.width)}x${Math.round(size.height)}` : "none");
}), 1500));
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1200, 500])
def test_every_plot_is_drawn_without_errors(tmp_path, run_manifests, width):
    path = write_report(tmp_path, **run_manifests)
    path.write_text(path.read_text().replace("<head>", "<head>" + PROBE, 1))
    browser = subprocess.run(
        [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2000",
         "--virtual-time-budget=6000", "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120,
        check=True)
    assert not re.search(r'<html[^>]*data-error="([^"]*)"', browser.stdout)
    sizes = dict(re.findall(r'id="plot-(\w+)"[^>]*data-size="([^"]*)"', browser.stdout))
    assert set(sizes) == {"heldout_loss", "recall", "auc_by_frequency", "auc_differences", "seconds"}
    for size in sizes.values():
        drawn_width, drawn_height = map(int, size.split("x"))
        assert 200 < drawn_width <= width
        assert drawn_height > 100
