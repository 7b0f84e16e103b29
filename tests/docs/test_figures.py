"""Every measured figure in a page is a recorded one, with the command, commit, machine and date of its measurement."""

import datetime
import json
import re
from pathlib import Path

import pytest
from figures import agrees, blocks, numbers, shown, unmarked_decimals

ROOT = Path(__file__).resolve().parents[2]
RECORDS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "benchmarks" / "results").glob("*.json"))}
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text()
         for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
SHOWN = [(page, name) for page, text in PAGES.items() for name in blocks(text)]


@pytest.mark.parametrize(("page", "name"), SHOWN)
def test_a_page_shows_the_recorded_figures(page, name):
    recorded = RECORDS[name]["figures"]
    for label, written in shown(blocks(PAGES[page])[name]).items():
        assert len(written) <= len(recorded[label])
        assert all(map(agrees, written, recorded[label])), (label, written, recorded[label])


def test_every_recorded_figure_is_in_the_documentation():
    for name, record in RECORDS.items():
        [written] = [shown(blocks(PAGES[page])[name]) for page, other in SHOWN if other == name and page != "README.md"]
        assert {label: len(row) for label, row in written.items()} == {
            label: len(row) for label, row in record["figures"].items()}


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/benchmarks.md", "docs/index.md"])
def test_no_figure_is_unrecorded(page):
    assert list(unmarked_decimals(PAGES[page])) == []


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_where_its_figures_are_from(name):
    record = RECORDS[name]
    assert list(record) == ["command", "commit", "machine", "date", "origin", "figures"]
    assert re.fullmatch("[0-9a-f]{7,40}", record["commit"])
    assert datetime.date.fromisoformat(record["date"])
    assert "cores" in record["machine"]
    for path in re.findall(r"[a-z_]+/[a-z_]+\.(?:py|yaml)", record["command"]):
        assert (ROOT / path).is_file()


def test_numbers_are_read_as_written():
    assert numbers("−.0179 [−.020, +.016], 52,692 of `x1.5`, 1.6–2.0M, recall@10, 61×") == [
        "−.0179", "−.020", "+.016", "52,692", "1.6", "2.0", "61"]


def test_agreement_is_to_the_written_decimals():
    assert agrees("−.018", -0.01764)
    assert not agrees("−.018", -0.0187)
    assert not agrees(".018", -0.018)
    assert agrees("52,692", 52692)


def test_a_table_is_read_row_by_row():
    page = "text .5\n\n<!-- figures: speed -->\n\n| a | b |\n|---|---|\n| one at 7 | .1, 2× |\n| two | |\n\nmore .6\n"
    assert shown(blocks(page)["speed"]) == {"one at 7": [".1", "2"], "two": []}
    assert list(unmarked_decimals(page)) == [".5", ".6"]
