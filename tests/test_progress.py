"""The final line of a progress bar, on a console that cannot redraw."""

import io

import pytest
from rich.console import Console

from tfrs_pretrain import progress as module
from tfrs_pretrain.progress import progress, thousands


@pytest.fixture
def output(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=stream, width=40))
    return stream


def test_final_line_shows_rate_and_note(output, monkeypatch):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock, 12.0))
    with progress("Stage I: contrastive pretraining", 5000, "pairs") as meter:
        meter.advance(4000)
        meter.note("loss 1.0000")
    assert output.getvalue() == "✓ Stage I: contrastive pretraining  2.0 s · 2.0k pairs/s · loss 1.0000\n"


def test_work_without_units_shows_only_its_time(output):
    with progress("logs"):
        pass
    assert output.getvalue().startswith("✓ logs  0.0 s\n")


def test_failed_work_has_no_final_line(output):
    with pytest.raises(RuntimeError), progress("logs"):
        raise RuntimeError
    assert output.getvalue() == ""


def test_thousands():
    assert [thousands(value) for value in (7, 12_345, 4_567_890)] == ["7", "12.3k", "4.6M"]
