"""Console output of experiments: plan, failures, folders to remove, progress."""

from io import StringIO

import pytest
from rich.console import Console

from tfrs_pretrain.experiments import progress_board as board_module
from tfrs_pretrain.experiments.console_tables import confirm_removal, show_failures, show_plan
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.progress_board import duration, progress_board
from tfrs_pretrain.experiments.prune import UnneededFolder
from tfrs_pretrain.study import Failure, StudiedArm

WARM = {"arm.transfer": "warm_start"}


@pytest.fixture
def console():
    return Console(file=StringIO(), width=200)


def lines(console):
    return [line.split() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(("seconds", "expected"), [
    (0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (36000, "10.0 h")])
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_a_plan_counts_shared_and_finished_pieces(plan, console, tmp_path):
    planned = plan({"scratch": None, "warm": {"set": WARM}, "tuned": {"set": WARM, "choose": {"arm.epochs": [1, 2]}}})
    output = tmp_path / "out"
    ranker = planned.ranker(planned.arms[0], {}, 1)
    for piece in ranker.with_dependencies():
        piece.folder(output).mkdir(parents=True, exist_ok=True)
        for name in ("manifest.json", "dataset_info.json"):
            (piece.folder(output) / name).touch()
    show_plan(planned, output, 2, console)
    rows = lines(console)
    assert ["scratch", "1", "4", "2"] in rows  # its rankers are not shared
    assert ["warm", "1", "6", "0"] in rows
    assert ["tuned", "2", "8", "2"] in rows  # only its trials are not shared with warm
    assert ["logs", "1", "1", "0"] in rows
    assert ["dataset", "1", "1", "0"] in rows
    assert ["embeddings", "2", "0", "2"] in rows
    assert ["ranker", "6", "1", "5"] in rows
    assert "an arm with several candidates is counted with its first one" in console.file.getvalue()
    assert "of work left" not in console.file.getvalue()  # nothing is known about embeddings


def test_the_remaining_time_is_divided_by_the_jobs(plan, console, tmp_path):
    planned = plan({"scratch": None})
    costs = PieceCosts(tmp_path)
    for kind, work in (("logs", 1.0), ("dataset", 1.0), ("ranker", 1.0)):
        costs.add(Piece(kind, "earlier", {}, work=work), 100.0, 1)
    show_plan(planned, tmp_path, 2, console)
    work = planned.ranker(planned.arms[0], {}, 1).work
    expected = duration((100 + 100 + 2 * work * 100) / 2)
    assert f"4 of 4 pieces to make: about {expected} with 2 jobs" in console.file.getvalue()
    assert "several candidates" not in console.file.getvalue()


def test_failures_are_printed_with_arm_and_seed(console):
    arms = [StudiedArm("fine", {}, ()), StudiedArm("bad", {}, (), (), (Failure(3, "killed"), Failure(4, "[red]")))]
    study = type("Study", (), {"arms": arms})
    assert show_failures(study, console)
    assert console.file.getvalue() == "failed: bad, seed 3: killed\nfailed: bad, seed 4: [red]\n"
    assert not show_failures(type("Study", (), {"arms": arms[:1]}), console)


@pytest.mark.parametrize(("ask", "dry_run", "answer", "expected"), [
    (False, False, None, True), (False, True, None, False), (True, True, None, False), (True, False, True, True),
    (True, False, False, False)])
def test_folders_are_removed_after_confirmation(monkeypatch, console, tmp_path, ask, dry_run, answer, expected):
    def confirm(question):
        assert question == "remove them?"
        assert answer is not None, "asked although the answer is known"
        return answer

    monkeypatch.setattr("tfrs_pretrain.experiments.console_tables.typer.confirm", confirm)
    folders = [UnneededFolder(tmp_path / "ranker" / "a", 1500), UnneededFolder(tmp_path / "logs" / "b", 2_500_000)]
    assert confirm_removal(folders, console, ask=ask, dry_run=dry_run) is expected
    assert ["ranker/a", "1.5", "kB"] in lines(console)
    assert "2 folders, 2.5 MB" in console.file.getvalue()


def test_without_folders_there_is_no_question(console):
    assert not confirm_removal([], console, ask=True, dry_run=False)
    assert console.file.getvalue() == "nothing to remove\n"


def test_progress_prints_a_line_per_piece(monkeypatch, console):
    monkeypatch.setattr(board_module, "console", console)
    pieces = [Piece("logs", name, {}) for name in ("a", "b", "c")]
    with progress_board(3) as board:
        for piece in pieces:
            board.started(piece)
        board.finished(pieces[0], 12.34, None)
        board.finished(pieces[1], 1.0, 200.0)
        board.failed(pieces[2], "it diverged")
    assert console.file.getvalue().splitlines() == [
        "✓ logs a  12.3 s · 1/3", "✓ logs b  1.0 s · 2/3 · about 3 min left", "✗ logs c: it diverged"]
