"""The page read back with an HTML parser: its numbers are the manifests', it loads nothing, it breaks on nothing."""

import json
import re
from html.parser import HTMLParser

import pytest

from tfrs_pretrain.reporting.report import write_report


class Page(HTMLParser):
    """Tables as lists of rows of cell texts, plus what a browser would load and run."""

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
        if tag not in ("meta", "link", "br"):
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


def render(folder, manifests):
    return Page(write_report(folder, **manifests).read_text())


def test_the_arms_table_holds_the_test_metrics(tmp_path, run_manifests):
    page = render(tmp_path, run_manifests)
    assert page.row("arm", "scratch")[1:7] == ["0.8775", "—", "0.2723", "—", "0.8575", "—"]
    assert page.row("arm", "warm start distilled")[1:9] == [
        "0.9058", "+0.0283 +0.0271 to +0.0295", "0.2484", "−0.0239 −0.0249 to −0.0229", "0.8858",  # noqa: RUF001
        "+0.0283 +0.0263 to +0.0303", "1.021", "0.7200"]
    assert "served" in page.row("arm", "warm start distilled")[0]


def test_the_slices_hold_differences_with_intervals(tmp_path, run_manifests):
    page = render(tmp_path, run_manifests)
    assert page.row("engagements of the item", "1-4") == [
        "1-4", "2,000", "90", "0.7400", "0.7900 +0.0500 (+0.0400 to +0.0600)", "0.8000"]


def test_the_heading_states_the_finding(tmp_path, run_manifests):
    assert render(tmp_path, run_manifests).heading == (
        "Warm start distilled ranks better than scratch: test AUC 0.9058 against 0.8775, with lower log loss.")


def test_stage_one_tells_how_it_ran(tmp_path, run_manifests):
    text = " ".join(render(tmp_path, run_manifests).texts["p"])
    assert "Stage I's held-out loss fell in every one of 3 epochs (7.610 before training, 6.010 at the end)" in text
    assert "The rows after epoch 3 are kept." in text
    assert "logQ correction on, 2 replicas." in text


def test_data_rows_tell_what_was_read_used_and_rejected(tmp_path, run_manifests):
    page = render(tmp_path, run_manifests)
    assert page.row("log", "impressions") == [
        "impressions", "2,855,403", "1,310,002", "1,545,360", "41", "null user: 40, label outside 0 and 1: 1"]
    assert page.row("split", "impressions/test") == ["impressions/test", "538,891", "10.9 %", "1.2 %", "8.7 %"]
    assert page.row("table", "item")[:5] == ["item", "61,717", "64", "64", "15.8 MB"]


def test_stage_two_rows_tell_coverage_and_training(tmp_path, run_manifests):
    page = render(tmp_path, run_manifests)
    assert page.table("window") == [
        ["window", "impressions, all rows", "impressions, item row", "impressions, user row", "distinct item ids",
         "distinct user ids"],
        ["validation", "90.3 %", "91.2 %", "98.7 %", "61.0 %", "95.0 %"],
        ["test", "90.3 %", "91.2 %", "98.7 %", "61.0 %", "95.0 %"]]
    stage_two = page.tables[[table[0][1] for table in page.tables].index("starts from")]
    assert stage_two[1][:6] == ["scratch", "scratch", "none", "1", "0.2823", "0.8785"]
    assert stage_two[3][:6] == [
        "warm start distilled", "warm start", "512-256-128, weight 0.5", "1", "0.2684", "0.9068"]


def test_plots_hold_the_manifests_values(tmp_path, run_manifests):
    figures = render(tmp_path, run_manifests).figures
    assert figures["data-heldout_loss"]["data"][0]["x"] == [0, 1, 2, 3]
    assert figures["data-heldout_loss"]["data"][0]["y"] == [7.61, 6.42, 6.13, 6.01]
    assert figures["data-heldout_loss"]["data"][1]["x"] == [1, 2, 3]
    assert [line["name"] for line in figures["data-recall"]["data"]] == ["recall@10", "recall@50"]
    buckets = {bar["name"]: bar["y"] for bar in figures["data-auc_by_frequency"]["data"]}
    assert buckets["warm start"] == [0.72, 0.79, 0.86, 0.90, 0.91]


def test_differences_are_drawn_with_both_ends_of_their_intervals(tmp_path, run_manifests):
    run_manifests["results"]["differences"][0]["auc"] = {"value": 0.02, "low": -0.01, "high": 0.024, "p": 0.3}
    page = render(tmp_path, run_manifests)
    dots = {dot["name"]: dot for dot in page.figures["data-auc_differences"]["data"]}
    assert dots["warm start"]["x"] == [0.02]
    assert dots["warm start"]["error_x"]["array"] == pytest.approx([0.004])
    assert dots["warm start"]["error_x"]["arrayminus"] == pytest.approx([0.03])
    assert "400 bootstrap samples of users" in " ".join(page.texts["dd"])


def test_an_arm_keeps_one_colour(tmp_path, run_manifests):
    figures = render(tmp_path, run_manifests).figures
    bars = {bar["name"]: bar["marker"]["color"] for bar in figures["data-auc_by_frequency"]["data"]}
    dots = {dot["name"]: dot["marker"]["color"] for dot in figures["data-auc_differences"]["data"]}
    assert len(set(bars.values())) == 3
    assert dots == {name: bars[name] for name in ("warm start", "warm start distilled")}


def test_nothing_is_loaded_from_anywhere(tmp_path, run_manifests):
    page = render(tmp_path, run_manifests)
    assert page.loaded == ["data:,"]
    text = (tmp_path / "report.html").read_text()
    style = text[text.index("<style>"):text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_names_are_text(tmp_path, run_manifests):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    run_manifests["logs"]["exposures"] = hostile
    run_manifests["ranker_manifests"][hostile] = run_manifests["ranker_manifests"].pop("warm_start")
    run_manifests["dataset_info"]["config"]["ranking"]["arms"][hostile] = {"transfer": "warm_start"}
    run_manifests["dataset_info"]["counts"]["impressions"]["rejected"] = {hostile: 3}
    page = render(tmp_path, run_manifests)
    assert "img" not in page.tags
    # Figure data, the plot library, the drawing code; nothing slipped in.
    assert page.tags.count("script") == len(page.figures) + 2
    assert any(hostile in row[0] for row in page.table("arm"))
    assert not any("<" in bar["name"] for bar in page.figures["data-auc_by_frequency"]["data"])


def test_missing_metrics_are_dashes(tmp_path, run_manifests):
    for manifest in run_manifests["ranker_manifests"].values():
        for entry in manifest["slices"]["test"][:2]:
            entry.update(auc=None, gauc=None, positives=0)
        manifest["metrics"]["test"].update(auc=None, gauc=None, positives=0, calibration=None)
    for entry in run_manifests["results"]["differences"]:
        entry.pop("slices", None)
        for name in ("auc", "gauc"):
            entry[name] = dict.fromkeys(("value", "low", "high", "p"))
    page = render(tmp_path, run_manifests)
    assert page.row("engagements of the item", "1-4") == ["1-4", "2,000", "0", "—", "—", "—"]
    assert page.row("arm", "warm start")[1:3] == ["—", "—"]
    assert page.heading.startswith("Warm start distilled and scratch cannot be compared")
    assert "data-auc_differences" not in page.figures


def test_one_arm_one_epoch_no_recall(tmp_path, run_manifests):
    config = run_manifests["dataset_info"]["config"]
    config["ranking"]["arms"] = {"only": {"transfer": "scratch"}}
    config["export"]["arm"] = "only"
    run_manifests["ranker_manifests"] = {"only": run_manifests["ranker_manifests"]["scratch"]}
    run_manifests["embeddings_manifest"]["epochs"] = [{"epoch": 0, "train_loss": None, "heldout_loss": 7.6}]
    page = render(tmp_path, run_manifests)
    assert page.heading == "One arm, only: test AUC 0.8775, nothing to compare it with."
    assert "data-recall" not in page.figures
    assert "Stage I did not train: the rows are random." in page.texts["li"]


def test_several_ranking_epochs_are_plotted(tmp_path, run_manifests):
    for manifest in run_manifests["ranker_manifests"].values():
        manifest["epochs"].append(manifest["epochs"][0] | {"epoch": 2})
    figures = render(tmp_path, run_manifests).figures
    assert figures["data-validation_log_loss"]["data"][0]["y"] == [0.2723, 0.2723]


def test_windows_of_dates_lie_where_they_belong(tmp_path, run_manifests):
    run_manifests["dataset_info"]["config"]["windows"] = {
        "pretrain": {"start": "2024-01-01", "end": "2024-01-06"},
        "train": {"start": "2024-01-06", "end": "2024-01-09"},
        "validation": {"start": "2024-01-09", "end": "2024-01-10"},
        "test": {"start": "2024-01-10", "end": "2024-01-11"}, "allow_overlap": False}
    text = write_report(tmp_path, **run_manifests).read_text()
    assert re.findall(r"left: ([\d.]+)%; width: ([\d.]+)%", text) == [
        ("0.0", "50.0"), ("50.0", "30.0"), ("80.0", "10.0"), ("90.0", "10.0")]


@pytest.mark.parametrize("leftover", ["report.html", "results.json"])
def test_an_older_report_is_replaced_and_other_files_stay(tmp_path, run_manifests, leftover):
    (tmp_path / leftover).write_text("old")
    write_report(tmp_path, **run_manifests)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"report.html", leftover})
    assert (leftover == "report.html") != ((tmp_path / leftover).read_text() == "old")
