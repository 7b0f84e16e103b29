"""Running a command of ``tfrs-pretrain`` inside the test process."""

import sys

import pytest
from rich.console import Console

from tfrs_pretrain.cli import application, evaluation


def run_command(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of ``tfrs-pretrain`` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["tfrs-pretrain", *map(str, arguments)])
    monkeypatch.setattr(evaluation, "console", Console(file=None, width=100))
    monkeypatch.setattr(application, "error_console", Console(file=None, width=100, stderr=True))
    with pytest.raises(SystemExit) as done:
        application.main()
    return done.value.code, *capsys.readouterr()
