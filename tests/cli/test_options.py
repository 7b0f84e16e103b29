"""Helpers that several commands share."""

import pytest
import typer
from typer.testing import CliRunner

from tfrs_pretrain.cli import application, options, retrieval, summary
from tfrs_pretrain.errors import UserError


def test_an_output_file_is_checked_before_the_run(tmp_path):
    options.check_writable(None)
    options.check_writable(tmp_path / "new.json")
    for path in (tmp_path, tmp_path / "absent" / "new.json"):
        with pytest.raises(UserError, match="name a file in a folder that exists"):
            options.check_writable(path)


def test_metrics_have_four_decimals_and_an_undefined_one_a_dash():
    assert [options.number(value) for value in (0.73691, 0.0, None)] == ["0.7369", "0.0000", "—"]


def test_the_next_command_stays_on_one_line(capsys):
    options.next_command("tfrs-pretrain export " + "x" * 200)
    assert capsys.readouterr().out == f"next: tfrs-pretrain export {'x' * 200}\n"


def test_assignments_are_split_at_the_first_equals_sign():
    assert retrieval._assignments(["device=phone", "tags=[\"a=b\"]", "empty="]) == {
        "device": "phone", "tags": "[\"a=b\"]", "empty": ""}
    for text in ("device", "=phone"):
        with pytest.raises(UserError, match="write it as FEATURE=VALUE"):
            retrieval._assignments([text])


def test_counts_of_a_dataset_are_printed_line_by_line(capsys):
    summary.show_built({
        "counts": {"engagements": {"read": 12_000, "written": 11_000, "filtered_by": {"outside every window": 990},
                                   "rejected": {"user is null": 10}}},
        "vocabularies": {"item": {"ids": 1_500}},
        "lifecycle": {"item": {"kept": 1_200, "admitted": 300, "evicted": 0, "reused": 0, "deleted": 0},
                      "user": {"kept": 5, "admitted": 4, "evicted": 3, "reused": 2, "deleted": 1}},
    })
    assert capsys.readouterr().out.splitlines() == [
        "engagements: 12,000 rows read, 11,000 written, 990 outside every window, 10 rejected: user is null",
        "vocabulary item: 1,200 ids keep their rows, 300 are new",
        "vocabulary user: 5 ids keep their rows, 4 are new, 2 of them in rows of other ids, 3 lost their rows, "
        "1 were forgotten"]


def test_a_renamed_command_keeps_its_options_and_arguments(monkeypatch):
    calls = []
    app = typer.Typer()
    monkeypatch.setattr(application, "app", app)

    @app.command("new-name")
    @application.formerly("old", "new-name")
    def command(folder: str, count: int = typer.Option(1)) -> None:
        calls.append((folder, count))

    for name in ("new-name", "old"):
        assert CliRunner().invoke(app, [name, "data", "--count", "3"]).exit_code == 0
    assert calls == [("data", 3), ("data", 3)]
    assert "old" not in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize(("error", "message"), [
    (UserError("name another folder"), "error: name another folder\n"),
    (PermissionError(13, "Permission denied", "runs/x"),
     "error: 'runs/x': Permission denied: check the path, its permissions and the free space\n"),
])
def test_an_error_that_the_user_can_correct_ends_with_two(error, message, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr(application, "app", fail)
    with pytest.raises(SystemExit) as end:
        application.main()
    assert (end.value.code, capsys.readouterr().err) == (2, message)


@pytest.mark.parametrize("error", [OSError("without a number"), ValueError("a bug")])
def test_any_other_error_keeps_its_traceback(error, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(application, "app", fail)
    with pytest.raises(type(error)) as raised:
        application.main()
    assert raised.value is error


@pytest.mark.parametrize(("before", "after"), [(None, "2"), ("0", "0")])
def test_the_command_line_sets_tensorflows_log_level_unless_it_is_set(before, after, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before or "")
    if before is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    monkeypatch.setattr(application, "app", lambda: None)
    application.main()
    assert application.os.environ["TF_CPP_MIN_LOG_LEVEL"] == after
