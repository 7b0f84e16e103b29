"""Trials of one stage: a fault at one file operation, what the next reader sees, and the same command again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from faulty_commands import Commands, Ended
from stages import Inputs, Stage

Contents = dict[str, bytes]
HELD, LOST, SILENT = "held", "lost", "silent"
KILLED = -9


class Verdict(NamedTuple):
    """Outcome of a trial, and the reason unless it held."""

    outcome: str
    reason: str = ""


class Expected(NamedTuple):
    """Undisturbed runs of a stage.

    Attributes:
      before, after: contents of the output before and after the command.
      stable: files of the output that are the same in every run; others contain times.
      files: all files of the work folder after the command.
      operations, writes: counts of one run.
    """

    before: Contents
    after: Contents
    stable: frozenset[str]
    files: frozenset[str]
    operations: int
    writes: int

    def is_before(self, found: Contents) -> bool:
        """The output is the old one, byte for byte."""
        return found == self.before

    def is_after(self, found: Contents) -> bool:
        """The output is the new one, whole."""
        return found.keys() == self.after.keys() and all(found[name] == self.after[name] for name in self.stable)


class Trials:
    """Trials of a stage.

    Args:
      stage: the stage.
      commands: to run it with.
      inputs: the inputs, which the stage does not change.
      work: folder to work in.
    """

    def __init__(self, stage: Stage, commands: Commands, inputs: Inputs, work: Path):
        inputs.make(*stage.needs)
        self._stage, self._commands, self._inputs, self._work = stage, commands, inputs.folder, work
        self.expected = self._undisturbed()

    def killed(self, at: int) -> Verdict:
        """Kill the command at an operation, read the output, and run the command again."""
        ended = self._run_faulty("KILL", at)
        if ended.status != KILLED:
            return Verdict(LOST, f"exit code {ended.status} before the kill: {ended.output[-500:]}")
        return self._seen_after_kill() or self._again()

    def disk_full(self, at: int) -> Verdict:
        """Let the disk be full from a write on, look at the message and the output, and run the command again."""
        ended = self._run_faulty("FULL", at)
        found = self._contents()
        if ended.status == 0:
            if not self.expected.is_after(found):
                return Verdict(SILENT, "exit code 0 with an incomplete output")
        elif problem := _unclear(ended):
            return Verdict(LOST, problem)
        elif self._stage.before and not self.expected.is_before(found):
            return Verdict(LOST, f"the old output changed: {_differences(self.expected.before, found)}")
        elif not self._stage.before and (problem := self._accepted(found)):
            return problem
        return self._again()

    def _undisturbed(self) -> Expected:
        self._stage.prepare(self._inputs, self._work)
        before = self._contents()
        other = _contents(self._inputs / self._stage.same) if self._stage.same else self._undisturbed_run()[0]
        after, ended = self._undisturbed_run()
        stable = frozenset(name for name, content in after.items()
                           if other[name] == content and name not in self._stage.measured)
        return Expected(before, after, stable, frozenset(self._listing()), ended.operations, ended.writes)

    def _undisturbed_run(self) -> tuple[Contents, Ended]:
        ended = self._run_faulty("COUNT", 0)
        assert ended.status == 0, ended.output
        return self._contents(), ended

    def _run_faulty(self, mode: str, at: int) -> Ended:
        self._stage.prepare(self._inputs, self._work)
        return self._stage.run(self._commands, self._inputs, self._work, mode=mode, at=at)

    def _seen_after_kill(self) -> Verdict | None:
        """None if the output is whole, old or new, or a reader says that it is not finished."""
        found = self._contents()
        if self._stage.before and self.expected.is_before(found):
            return self._refused_although_whole()
        if self.expected.is_after(found):
            return self._refused_although_whole()
        return self._accepted(found)

    def _accepted(self, found: Contents) -> Verdict | None:
        """None if a reader refuses an incomplete output with one line."""
        if self.expected.is_after(found):
            return None
        read = self._stage.read(self._commands, self._work)
        if read.status == 0:
            return Verdict(SILENT, f"a reader accepts {_differences(self.expected.after, found)}")
        return Verdict(LOST, f"reader: {problem}") if (problem := _unclear(read)) else None

    def _refused_although_whole(self) -> Verdict | None:
        read = self._stage.read(self._commands, self._work)
        return Verdict(LOST, f"a reader refuses a whole output: {read.output[-500:]}") if read.status else None

    def _again(self) -> Verdict:
        """Run the command again without a fault: an output that was already finished stays."""
        ended = self._stage.run(self._commands, self._inputs, self._work)
        found = self._contents()
        if ended.status:
            return Verdict(LOST, f"the same command again: exit code {ended.status}: {ended.output[-500:]}")
        if not self.expected.is_after(found):
            return Verdict(SILENT, f"the same command again: {_differences(self.expected.after, found)}")
        left = sorted(set(self._listing()) - self.expected.files)
        return Verdict(LOST, f"left over: {left[:5]}") if left else Verdict(HELD)

    def _contents(self) -> Contents:
        return _contents(self._work / self._stage.output)

    def _listing(self) -> Iterable[str]:
        return (str(path.relative_to(self._work)) for path in self._work.rglob("*"))


def _contents(output: Path) -> Contents:
    """Files of an output, except those in hidden folders and with hidden names, which no reader opens."""
    files = {"": output} if output.is_file() else {
        str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items())
            if not any(part.startswith(".") for part in Path(name).parts)}


def _unclear(ended: Ended) -> str:
    """Why an error is not one clear line; empty if it is."""
    lines = [line for line in ended.output.splitlines() if line.startswith("error: ")]
    if "Traceback" in ended.output or ended.status < 0:
        return f"exit code {ended.status}: {ended.output[-700:]}"
    return "" if len(lines) == 1 else f"exit code {ended.status}, {len(lines)} lines of error: {ended.output[-500:]}"


def _differences(expected: Contents, found: Contents) -> str:
    missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    changed = [name for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]]
    return f"missing {missing[:4]}, unexpected {more[:4]}, changed {changed[:4]}"
