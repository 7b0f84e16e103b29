"""Tables for the console: what a reader must find in them."""

import pytest
from rich.console import Console

from tfrs_pretrain.retrieval.table import show_index, show_recommendations

MANIFEST = {"items": 12345, "dim": 64, "measured_users": 1000, "approximate": "hnsw", "indexes": {
    "exact": {"bytes": 3_160_000, "recall@10": 1.0, "recall@100": 1.0, "p50_ms": 4.25, "p99_ms": 9.0},
    "approximate": {"bytes": 6_720_000, "recall@10": 0.98765, "recall@100": 0.9, "p50_ms": 0.125, "p99_ms": 0.5}}}
ANSWER = {"user": 7, "candidates": 200, "retrieved_by": "approximate", "seen_excluded": 0, "notes": [], "items": [
    {"item": "[b]日本[/b]", "score": 0.87654, "similarity": 0.5, "stage_one_rank": 12},
    {"item": 42, "score": 0.25, "stage_one_rank": 1}]}


@pytest.fixture
def printed():
    console = Console(width=160, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115

    def lines(show, content):
        show(content, console)
        return [line.replace("│", "").split() for line in console.export_text().splitlines()]

    return lines


def test_an_index_is_shown_with_size_recall_and_latency(printed):
    found = printed(show_index, MANIFEST)
    assert " ".join(found[0]) == "12,345 items, 64 dimensions; 1,000 users queried one by one on one thread"
    assert ["exact", "(every", "item)", "3.2", "MB", "1.0000", "1.0000", "4.25", "ms", "9.00", "ms"] in found
    assert ["approximate", "(hnsw)", "6.7", "MB", "0.9877", "0.9000", "0.12", "ms", "0.50", "ms"] in found


def test_an_index_that_nobody_could_be_measured_with_is_shown_without_latency(printed):
    sizes = {name: {"bytes": 1_000_000} for name in ("exact", "approximate")}
    found = printed(show_index, MANIFEST | {"indexes": sizes, "measured_users": 0})
    assert ["exact", "(every", "item)", "1.0", "MB"] in found


def test_items_are_shown_as_they_are_with_score_and_stage_one_rank(printed):
    found = printed(show_recommendations, ANSWER)
    assert " ".join(found[0]) == "user 7: 200 candidates by approximate"
    assert ["1", "[b]日本[/b]", "0.8765", "12", "0.5000"] in found
    assert ["2", "42", "0.2500", "1", "—"] in found


def test_exclusions_and_notes_are_shown(printed):
    found = printed(show_recommendations, ANSWER | {"seen_excluded": 3, "notes": ["[first]", "second"]})
    title = " ".join(word for line in found[:2] for word in line)  # as wide as the table
    assert "candidates by approximate, without 3 items seen before" in title
    assert [" ".join(line) for line in found[-2:]] == ["note: [first]", "note: second"]
