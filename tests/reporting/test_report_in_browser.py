"""The page in a browser: no errors, nothing loaded, every plot drawn, no overflow on a phone, printable."""

import re
import shutil
import subprocess

import example_results
import pytest

from tfrs_pretrain.reporting.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
# A headless browser shows no console, so the probe writes its observations into the dumped page. The page is loaded in
# a frame of the requested width, because a window is at least 500 pixels wide.
PROBE = """<script>
const note = (message) => document.documentElement.setAttribute("data-error", message);
window.addEventListener("error", (event) => note(event.message));
window.addEventListener("unhandledrejection", (event) => note(event.reason));
console.error = console.warn = note;
window.addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll(".plot").forEach((plot) => {
    const size = plot.querySelector("svg.main-svg")?.getBoundingClientRect();
    const drawn = plot.querySelectorAll(".scatterlayer .trace, .barlayer .trace").length;
    plot.setAttribute("data-size", size ? `${Math.round(size.width)}x${Math.round(size.height)}x${drawn}` : "none");
  });
  const lines = () => document.querySelectorAll("#plot-one_epoch .scatterlayer .trace").length;
  const before = lines();
  document.querySelector(".chips input:checked").click();
  document.documentElement.setAttribute("data-lines", `${before} ${lines()}`);
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name).join(" ");
  document.documentElement.setAttribute("data-loaded", loaded);
  document.documentElement.setAttribute("data-width", document.documentElement.scrollWidth);
  parent.document.getElementById("result").textContent = document.documentElement.outerHTML
    .replace(/<script[^]*?<\\/script>/g, "");
}, 1500));
</script>"""


def browse(folder, *arguments):
    return subprocess.run([BROWSER, *QUIET, f"--user-data-dir={folder / 'profile'}", *arguments], capture_output=True,
                          text=True, timeout=120, check=True)


def page_in_browser(folder, results, width):
    """Return the DOM of the page after it was drawn at a width."""
    write_report(folder, results)
    page = folder / "report.html"
    page.write_text(page.read_text().replace("<head>", "<head>" + PROBE, 1))
    frame = folder / "frame.html"
    frame.write_text(f'<iframe src="report.html" style="width: {width}px; height: 900px; border: 0"></iframe>'
                     '<pre id="result"></pre>')
    done = browse(folder, "--allow-file-access-from-files", "--window-size=1300,1000", "--virtual-time-budget=8000",
                  "--dump-dom", frame.as_uri())
    return done.stdout.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("example", "width"), [
    (example_results.results, 1200), (example_results.results, 390), (example_results.many, 390)])
def test_every_plot_is_drawn_without_errors_and_fits(tmp_path, example, width):
    found = page_in_browser(tmp_path, example(), width)
    assert not re.search(r'data-error="([^"]*)"', found)
    assert re.search(r'data-loaded="([^"]*)"', found)[1] == ""
    before, after = map(int, re.search(r'data-lines="(\d+) (\d+)"', found).groups())
    # The first arm's mean, and its seeds where there are several.
    assert before - after == (4 if example is example_results.many else 1)
    assert int(re.search(r'data-width="(\d+)"', found)[1]) <= width
    sizes = dict(re.findall(r'id="plot-(\w+)"[^>]*data-size="([^"]*)"', found))
    assert set(sizes) == {"one_epoch", "one_epoch_auc", "auc_differences", "log_loss_differences", "item_frequency",
                          "user_frequency", "calibration", "heldout_loss", "recall", "embedding_map_0",
                          "embedding_map_1", "seconds", *(["diagnosis"] if example is example_results.many else [])}
    for name, size in sizes.items():
        drawn_width, drawn_height, traces = map(int, size.split("x"))
        assert 200 < drawn_width <= width, name
        assert drawn_height > 100, name
        assert traces > 0, name


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_the_page_prints_on_several_sheets(tmp_path):
    write_report(tmp_path, example_results.many())
    browse(tmp_path, "--virtual-time-budget=8000", "--no-pdf-header-footer",
           f"--print-to-pdf={tmp_path / 'report.pdf'}", (tmp_path / "report.html").as_uri())
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 5
    assert len(printed) > 100_000
