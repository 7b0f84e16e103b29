"""The fault campaign: a short form in every test run, the long form with ``--campaign long``.

A test takes the fixture ``outcomes``, records each trial, and ends with ``outcomes.require_all_held(kind)``. Sizes come
from ``campaign_size(short, long)``. The table is printed after the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import Outcomes, save, table

OUTCOMES = pytest.StashKey[Outcomes]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = Outcomes()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.campaign)


@pytest.fixture(scope="session")
def outcomes(pytestconfig: pytest.Config) -> Outcomes:
    """Outcomes of all trials of this run."""
    return pytestconfig.stash[OUTCOMES]


@pytest.fixture(scope="session")
def campaign_size(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """Function of the number of trials in the short and in the long form that returns the one that is wanted."""
    long_form = pytestconfig.getoption("--campaign") == "long"
    return lambda short, long: long if long_form else short


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[OUTCOMES].counts()
    if counts:
        terminalreporter.section(f"fault campaign, {config.getoption('--campaign')} form")
        terminalreporter.write_line(table(counts))
    if counts and (path := config.getoption("--campaign-json")):
        save(path, counts)
