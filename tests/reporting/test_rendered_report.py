"""The page and the Markdown, parsed: numbers, plots, escaping, missing values."""

import json
import re
from html.parser import HTMLParser

import example_results
import pytest

from tfrs_pretrain.reporting.report import write_report


class Page(HTMLParser):
    """Tables as lists of rows of cell texts, and the resources that a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.loaded, self.tags, self.figures, self.texts = [], [], [], {}, {}
        self._open, self._data = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "link":
            self.loaded.append(values["href"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "script" and values.get("type") == "application/json":
            self._data = values["id"]
        if tag not in ("meta", "link", "br", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"badly nested </{tag}>"
        if tag == "script":
            self._data = None

    def handle_data(self, data):
        if self._data:
            self.figures[self._data] = json.loads(data)
            return
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.setdefault(self._open[-1], []).append(" ".join(data.split()))
        if self.tables and ({"td", "th"} & set(self._open)):
            self.tables[-1][-1][-1] = (self.tables[-1][-1][-1] + " " + data.strip()).strip()

    def table(self, first_heading):
        return next(table for table in self.tables if table[0][0] == first_heading)

    def row(self, first_heading, name):
        return next(row for row in self.table(first_heading) if row[0].startswith(name))

    @property
    def heading(self):
        return self.texts["h1"][0]


def render(folder, results):
    write_report(folder, results)
    return Page((folder / "report.html").read_text())


def markdown_tables(text):
    """Tables of a Markdown text: lists of rows of cell texts."""
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in block.strip().splitlines()]
        tables.append([rows[0], *rows[2:]])
    return tables


def test_the_table_of_arms_contains_the_test_metrics(tmp_path, results):
    page = render(tmp_path, results)
    assert page.row("arm", "scratch")[1:7] == ["0.8775", "—", "0.2723", "—", "—", "0.8575"]
    assert page.row("arm", "warm start distilled")[1:10] == [
        "0.9058", "+0.0283 users [+0.0273, +0.0293]", "0.2484", "−0.0239 users [−0.0249, −0.0229]", "better",  # noqa: RUF001
        "0.8858", "+0.0283 users [+0.0263, +0.0303]", "1.021", "0.7200"]
    assert "served" in page.row("arm", "warm start distilled")[0]


def test_several_seeds_have_a_deviation_and_both_intervals(tmp_path):
    page = render(tmp_path, example_results.many())
    assert page.row("arm", "arm 29")[1:3] == [
        "0.8580 ±0.0005", "+0.0380 users [+0.0370, +0.0390] seeds [+0.0350, +0.0410]"]
    assert page.row("arm", "lost")[1:] == ["—"] * 4 + ["did not finish"] + ["—"] * 4
    assert "1 run did not finish (lost, seed 18: killed by signal 9)." in page.texts["li"]


def test_distilled_arms_are_compared_with_their_twins(tmp_path, results):
    page = render(tmp_path, results)
    [table] = [table for table in page.tables if table[0][1] == "against"]
    row = table[1]
    assert row[2:4] == ["+0.0007 users [−0.0003, +0.0017]", "−0.0017 users [−0.0027, −0.0007]"]  # noqa: RUF001
    assert row[5] == "AUC not measurable, log loss better"


def test_a_verdict_that_correction_removes_is_marked_in_both_formats(tmp_path, results):
    results["comparisons"][1]["auc"] |= {"p_corrected": 0.07, "holds": False}
    page = render(tmp_path, results)
    assert page.row("arm", "warm start distilled served")[5] == "AUC better (uncorrected), log loss better"
    text = (tmp_path / "report.md").read_text()
    assert "AUC better (uncorrected), log loss better" in text
    assert "(not after correction for 2 comparisons)" in text.splitlines()[0]


def test_slices_contain_differences_with_intervals(tmp_path, results):
    page = render(tmp_path, results)
    assert page.row("item's engagements", "1-4") == [
        "1-4", "2,000", "90", "0.8075", "0.8341 +0.0177 users [+0.0167, +0.0187]",
        "0.8358 +0.0189 users [+0.0179, +0.0199]"]
    assert page.row("user's engagements", "5-19")[3] == "0.8375"


def test_the_heading_is_the_headline(tmp_path, results):
    assert render(tmp_path, results).heading == (
        "Warm start distilled ranks better than scratch: test AUC 0.9058 against 0.8775, with lower log loss.")


def test_stage_one_describes_its_settings(tmp_path, results):
    text = " ".join(render(tmp_path, results).texts["p"])
    assert "Stage I's held-out loss fell in each of 3 epochs (7.610 before training, 6.010 at the end)" in text
    assert "the rows after epoch 3 are kept." in text
    assert "logQ correction on, 2 replicas" in text


def test_tables_of_the_data_contain_counts_and_shares(tmp_path, results):
    page = render(tmp_path, results)
    assert page.row("log", "impressions") == [
        "impressions", "2,855,403", "1,310,002", "1,545,360", "41", "null user: 40, label outside 0 and 1: 1"]
    assert page.row("split", "impressions/test") == ["impressions/test", "538,891", "10.9 %", "1.2 %", "8.7 %"]
    assert page.row("table", "item")[:5] == ["item", "61,717", "64", "64", "15.8 MB"]


def test_distinct_datasets_are_listed(tmp_path):
    page = render(tmp_path, example_results.many())
    assert page.row("dataset", "windows.pretrain.end")[1:] == ["arm 05", "785,210", "680,111"]


def test_stage_two_tables_contain_coverage_and_training(tmp_path, results):
    page = render(tmp_path, results)
    assert page.table("window") == [
        ["window", "impressions, all rows", "impressions, item row", "impressions, user row", "distinct item ids",
         "distinct user ids"],
        ["test", "90.3 %", "91.2 %", "98.7 %", "61.0 %", "95.0 %"]]
    [stage_two] = [table for table in page.tables if table[0][1:2] == ["starts from"]]
    assert stage_two[1][:8] == ["scratch baseline", "scratch", "—", "—", "1", "0.2823", "0.8785", "0.2733"]
    assert stage_two[3][1:3] == ["warm start", "512-256-128, weight 0.5"]


def test_the_served_model_lists_the_checks_of_each_signature(tmp_path, results):
    assert render(tmp_path, results).row("signature", "rank") == ["rank", "4", "120", "1.2e-07"]
    del results["exported"]["check"]["signatures"]
    assert not any(table[0][0] == "signature" for table in render(tmp_path, results).tables)


def test_trials_list_their_distinct_settings_and_the_chosen_one(tmp_path):
    page = render(tmp_path, example_results.many())
    assert page.table("candidate")[1:] == [["interval decay 0.2 chosen", "0.8000", "0.2000"],
                                           ["interval decay 0.4", "0.8000", "0.4000"]]


def test_plots_contain_the_values_of_the_results(tmp_path, results):
    figures = render(tmp_path, results).figures
    assert figures["data-heldout_loss"]["data"][0]["x"] == [0, 1, 2, 3]
    assert figures["data-heldout_loss"]["data"][0]["y"] == [7.61, 6.42, 6.13, 6.01]
    assert figures["data-heldout_loss"]["data"][1]["x"] == [1, 2, 3]
    assert figures["data-recall"]["data"][0]["y"] == pytest.approx([0.0012, 0.063, 0.102, 0.123])
    gains = {dots["name"]: dots for dots in figures["data-item_frequency"]["data"]}
    assert gains["warm start"]["y"] == pytest.approx([0.0266 * (index + 1) / 3 for index in range(5)])
    assert gains["warm start"]["error_y"]["array"] == pytest.approx([0.001] * 5)
    lines = {line["name"]: line for line in figures["data-calibration"]["data"]}
    assert lines["scratch"]["y"] == pytest.approx([0.014, 0.024, 0.044, 0.084, 0.164, 0.324])
    assert lines["scratch"]["x"] == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
    assert figures["data-calibration"]["layout"]["xaxis"]["type"] == "log"


def test_losses_of_different_objectives_are_not_drawn_together(tmp_path):
    results = example_results.many()
    other = results["stage_one"]["settings"][1] | {"differs": {"pretraining.temperature": 0.2}}
    results["stage_one"]["settings"].append(other)
    figures = render(tmp_path, results).figures
    assert [line["name"] for line in figures["data-heldout_loss"]["data"]] == ["as configured", "epochs 12"]
    names = [line["name"] for line in figures["data-recall"]["data"]]
    assert names == ["as configured", "epochs 12", "temperature 0.2"]


def test_the_one_epoch_figure_draws_arms_seeds_and_borders(tmp_path):
    figure = render(tmp_path, example_results.many()).figures["data-one_epoch"]
    lines = {line["name"]: line for line in figure["data"] if "name" in line}
    assert lines["arm 02"]["x"] == [5000, 10_000, 15_000, 20_000, 25_000, 30_000]
    assert lines["arm 02"]["y"] == pytest.approx([0.308, 0.298, 0.308, 0.318, 0.328, 0.338])
    assert {name for name, line in lines.items() if line["visible"]} == {"arm 00", "arm 01", "arm 02", "arm 29"}
    assert sum(line["legendgroup"] == "arm_02" for line in figure["data"]) == 4  # mean and three seeds
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [10_000, 20_000, 30_000]


def test_every_arm_can_be_switched_on_and_off(tmp_path):
    write_report(tmp_path, example_results.many())
    boxes = re.findall(r'<input type="checkbox" data-arm="([^"]*)"( checked)?>', (tmp_path / "report.html").read_text())
    assert [name for name, _ in boxes] == [f"arm_{index:02}" for index in range(30)]
    assert [name for name, checked in boxes if checked] == ["arm_00", "arm_01", "arm_02", "arm_29"]


def test_differences_are_drawn_with_both_intervals_and_every_seed(tmp_path):
    figure = render(tmp_path, example_results.many()).figures["data-auc_differences"]
    of_last = [line for line in figure["data"] if line["y"][0] == "arm 29"]
    assert [pytest.approx(line["x"]) for line in of_last] == [
        [0.035, 0.041], [0.037, 0.039], [0.037, 0.038, 0.039], [0.038]]


def test_an_arm_keeps_one_colour(tmp_path, results):
    figures = render(tmp_path, results).figures
    dots = {dot["name"]: dot["marker"]["color"] for dot in figures["data-auc_differences"]["data"] if "name" in dot}
    lines = {line["name"]: line["line"]["color"] for line in figures["data-calibration"]["data"]}
    assert len(set(dots.values())) == 2
    assert lines["warm start"] == dots["warm start"]


def test_the_embedding_map_contains_points_and_purity(tmp_path, results):
    page = render(tmp_path, results)
    assert page.table("item rows of")[1:] == [["Stage I", "82.0 %", "31.0 %", "15.0 %"],
                                              ["scratch", "33.0 %", "31.0 %", "15.0 %"]]
    panels = {panel["name"]: panel for panel in page.figures["data-embedding_map_0"]["data"]}
    assert panels["bread"]["x"] == [0.1, 0.4, 0.6]
    assert panels["others"]["x"] == [-0.3]


def test_the_diagnosis_lists_its_controls(tmp_path):
    page = render(tmp_path, example_results.many())
    assert "Caused by user ids." in page.texts["li"]
    assert page.row("run", "as configured")[1:4] == ["0.6050", "+0.0287", "+0.0257 to +0.0317"]
    assert page.figures["data-diagnosis"]["data"][0]["y"] == [0.62, 0.605, 0.605 + 0.0287, 0.63]


@pytest.mark.parametrize("example", [example_results.results, example_results.many])
def test_markdown_contains_the_numbers_of_the_page(tmp_path, example):
    page = render(tmp_path, example())
    text = (tmp_path / "report.md").read_text()
    assert text.startswith(f"# {page.heading}\n")
    in_page = {}
    for header, *rows in page.tables:
        in_page.setdefault(tuple(header), []).append(rows)
    tables = markdown_tables(text)
    assert len(tables) > 8
    for header, *rows in tables:
        if header[0] != "held-out loss after epoch":  # the page has a figure instead
            shown = in_page[tuple(header)].pop(0)
            bare = [[[re.sub(r"[()]|;(?= )", "", cell) for cell in row] for row in each] for each in (rows, shown)]
            assert bare[0] == bare[1]


def test_the_page_loads_nothing(tmp_path, results):
    page = render(tmp_path, results)
    assert page.loaded == ["data:,"]
    text = (tmp_path / "report.html").read_text()
    style = text[text.index("<style>"):text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert len(text.encode()) < 8e6


def test_hostile_names_are_escaped(tmp_path, results):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    results["exposures"] = results["title"] = hostile
    results["arms"][hostile] = results["arms"].pop("warm_start")
    results["shown"] = list(results["arms"])
    results["comparisons"][0]["arm"] = hostile
    results["data"][0]["counts"]["impressions"]["rejected"] = {hostile: 3}
    results["embedding_map"]["categories"][0] = results["embedding_map"]["maps"][0]["title"] = hostile
    results["calibration"] = {hostile: results["calibration"]["scratch"]}
    page = render(tmp_path, results)
    assert "img" not in page.tags
    # Only figure data, the plot library and the drawing code.
    assert page.tags.count("script") == len(page.figures) + 2
    assert any(hostile in row[0] for row in page.table("arm"))
    for figure in page.figures.values():
        assert not any("<" in line.get("name", "") + line.get("hovertemplate", "").replace("<extra></extra>", "")
                       for line in figure["data"])
    assert "<script>" not in (tmp_path / "report.md").read_text()


def test_missing_metrics_are_dashes(tmp_path, results):
    for arm in results["arms"].values():
        arm.update(test_auc=None, test_gauc=None)
        for name in ("auc", "gauc", "calibration"):
            arm["test"][name] = {"mean": None, "by_seed": [None], "sd": None, "users": None}
        for part in arm["slices"]["item_frequency"]:
            part["auc"] = None
    for entry in results["comparisons"]:
        for part in [entry, *(part for parts in entry["slices"].values() for part in parts)]:
            part["auc"] = example_results.change("auc", None, None)
        entry["gauc"] = entry["auc"]
    page = render(tmp_path, results)
    assert page.row("item's engagements", "1-4") == ["1-4", "2,000", "90", "—", "—", "—"]
    assert page.row("arm", "warm start")[1:3] == ["—", "—"]
    assert page.heading.startswith("Warm start distilled and scratch cannot be compared")
    assert "data-auc_differences" not in page.figures
    assert "data-item_frequency" not in page.figures


def test_one_arm_without_stage_one_features_or_export(tmp_path):
    results = example_results.results(
        arms={"only": example_results.arm(0.8775, 0.2723)}, baseline="only", headline="only", shown=["only"],
        comparisons=[], stage_one={}, embedding_map=None, exported=None, calibration={"only": []}, exposures=None,
        multiplicity={"pairs": 0, "differences": 0, "differences_by_slice": 0, "expected_by_chance": 0.0,
                      "correction": "Holm", "families": {"baseline": 0, "twins": 0}})
    results["arms"]["only"]["slices"] = {}
    results["arms"]["only"]["runs"][0]["curve"] = results["arms"]["only"]["runs"][0]["curve"][:1]
    page = render(tmp_path, results)
    assert page.heading == "One arm, only: test AUC 0.8775, nothing to compare it with."
    assert set(page.figures) == {"data-seconds"}


def test_the_timeline_positions_windows_of_dates(tmp_path, results):
    results["data"][0]["config"]["windows"] = {
        "pretrain": {"start": "2024-01-01", "end": "2024-01-06"},
        "train": {"start": "2024-01-06", "end": "2024-01-09"},
        "validation": {"start": "2024-01-09", "end": "2024-01-10"},
        "test": {"start": "2024-01-10", "end": "2024-01-11"}, "allow_overlap": False}
    write_report(tmp_path, results)
    assert re.findall(r"left: ([\d.]+)%; width: ([\d.]+)%", (tmp_path / "report.html").read_text()) == [
        ("0.0", "50.0"), ("50.0", "30.0"), ("80.0", "10.0"), ("90.0", "10.0")]


@pytest.mark.parametrize("leftover", ["report.html", "results.json"])
def test_an_older_report_is_replaced_and_other_files_are_kept(tmp_path, results, leftover):
    (tmp_path / leftover).write_text("old")
    write_report(tmp_path, results)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"report.html", "report.md", leftover})
    assert (leftover == "report.html") != ((tmp_path / leftover).read_text() == "old")
