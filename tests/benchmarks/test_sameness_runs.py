"""Two commits of a small package, each run with its own code and its own spellings, and compared."""

import subprocess
import sys
import time

import pytest
from sameness import run
from sameness.checkouts import checkout, resolve, snapshot, untracked
from sameness.errors import CouldNotRunError
from sameness.processes import Command, run_chains
from sameness.run import Side, run_and_compare
from sameness.scenarios import DEMO, PLANTED, Scenario

# A command line of two commands: "config" refuses unknown settings, the other writes what its settings say.
PROGRAM = '''
import sys
import numpy as np

def main():
    command, *arguments = sys.argv[1:]
    pairs = zip(arguments, arguments[1:])
    settings = dict(value.split("=") for option, value in pairs if option == "--set")
    if command not in ("config", COMMAND) or not set(settings) <= {RATE, "seed"}:
        sys.exit(f"refused: {command} {settings}")
    if command == COMMAND and "--help" not in arguments:
        np.save("rows.npy", np.float32(settings[RATE]) * np.arange(4, dtype=np.float32))
'''
BAD = "import os, sys; print(os.environ['WORD'], 'failed'); sys.exit(3)"
SCENARIO = Scenario("tiny", "bundled", {"rate": [["optimizer.rate=0.002"], ["rate=0.002"]]},
                    [[("train-ranker", "@rate", "@changes")]])


def git(folder, *arguments):
    subprocess.run(["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True,
                   capture_output=True)


def write_package(repository, command, rate, program=PROGRAM):
    package = repository / "tfrs_pretrain"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(f"COMMAND, RATE = {command!r}, {rate!r}\n{program}")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Its commit knows the old spellings, its working tree the new ones."""
    monkeypatch.setattr(run, "SCENARIOS", {"tiny": SCENARIO})
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    write_package(folder, "rank", "rate")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    write_package(folder, "train-ranker", "optimizer.rate")
    return folder


def compared(repository, tmp_path, *changes):
    sides = [Side("base", resolve(repository, "HEAD")), Side("here", snapshot(repository), changes)]
    outcomes, _ = run_and_compare(repository, sides, ["tiny"], tmp_path / "work", at_once=2)
    return [(one.file, one.verdict, one.difference) for one in outcomes]


def worktrees(repository):
    listed = subprocess.run(["git", "-C", repository, "worktree", "list"], check=True, capture_output=True, text=True)
    return len(listed.stdout.splitlines())


def test_other_spellings_of_the_same_work_are_the_same(repository, tmp_path):
    assert compared(repository, tmp_path) == [("tiny/rows.npy", "same", "")]
    assert worktrees(repository) == 1


def test_one_ulp_of_a_rate_is_different(repository, tmp_path):
    assert compared(repository, tmp_path, "optimizer.rate=0.0020000004") == [
        ("tiny/rows.npy", "different", "9.31e-10")]


def test_one_ulp_in_uncommitted_code_is_different(repository, tmp_path):
    write_package(repository, "rank", "rate", PROGRAM.replace("np.float32(settings[RATE])", "np.float32(0.0020000004)"))
    assert compared(repository, tmp_path) == [("tiny/rows.npy", "different", "9.31e-10")]


@pytest.mark.parametrize(("command", "rate", "message"), [
    ("teach", "rate", r"none of the commands \['train-ranker', 'rank'\] is known"),
    ("rank", "pace", r"none of the alternatives of 'rate' is accepted: .*refused: config"),
])
def test_an_unknown_spelling_cannot_be_run(repository, tmp_path, command, rate, message):
    write_package(repository, command, rate)
    with pytest.raises(CouldNotRunError, match=f"here tiny 0 ended with exit code 1:\n{message}"):
        compared(repository, tmp_path)
    assert worktrees(repository) == 1


def test_a_package_from_elsewhere_is_refused(repository, tmp_path):
    write_package(repository, "rank", "rate", "import types\ncli = types\n__file__ = '/elsewhere/cli.py'\n")
    with pytest.raises(CouldNotRunError, match=r"imported from /elsewhere/cli\.py, not from"):
        compared(repository, tmp_path)


def test_an_unknown_commit_cannot_be_run(repository):
    with pytest.raises(CouldNotRunError, match="'nowhere' is not a commit of"):
        resolve(repository, "nowhere")


def test_a_worktree_goes_even_on_ctrl_c(repository, tmp_path):
    with pytest.raises(KeyboardInterrupt), checkout(repository, "HEAD", tmp_path / "there") as folder:
        assert (folder / "tfrs_pretrain" / "cli.py").is_file()
        raise KeyboardInterrupt
    assert not (tmp_path / "there").exists()
    assert worktrees(repository) == 1


def test_a_snapshot_has_tracked_files_as_they_are_now(repository, tmp_path):
    (repository / "new.txt").write_text("untracked")
    assert untracked(repository) == ["new.txt"]
    with checkout(repository, snapshot(repository), tmp_path / "there") as folder:
        assert "'train-ranker'" in (folder / "tfrs_pretrain" / "cli.py").read_text()
        assert not (folder / "new.txt").exists()


def test_a_failed_command_ends_the_others_and_shows_its_log(tmp_path):
    def command(name, code):
        return Command([sys.executable, "-c", code], tmp_path, tmp_path / f"{name}.log", {"WORD": name})

    started = time.monotonic()
    with pytest.raises(CouldNotRunError, match=r"^bad ended with exit code 3:\nbad failed$"):
        run_chains([[command("long", "import time; time.sleep(60)")], [command("good", ""), command("bad", BAD)],
                    [command("never", "")]], at_once=2)
    assert time.monotonic() - started < 30
    assert not (tmp_path / "never.log").exists()


@pytest.mark.parametrize("scenario", [DEMO, PLANTED])
def test_every_choice_of_a_scenario_is_used_and_known(scenario, tmp_path):
    plans = [scenario.plan(number, tmp_path, ["seed=3"]) for number in range(len(scenario.processes))]
    used = {part[1:] for plan in plans for step in plan["steps"] for part in step[1:] if part.startswith("@")}
    assert used == {"changes", *scenario.choices}
    assert all(plan["choices"]["changes"] == [["seed=3"]] for plan in plans)
