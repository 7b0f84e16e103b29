"""Checkouts of two commits in temporary git worktrees."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sameness.errors import CouldNotRunError


def resolve(repository: Path, commit: str) -> str:
    """Returns the full hash of a commit, branch or tag.

    Raises:
      CouldNotRunError: the repository has no such commit.
    """
    return _git(repository, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}",
                failure=f"{commit!r} is not a commit of {repository}")


def snapshot(repository: Path) -> str:
    """Returns a commit of the tracked files as they are now, uncommitted changes included.

    The commit belongs to no branch. Later edits do not reach it, so a run of minutes sees one state of the files.
    """
    identity = ("-c", "user.name=same", "-c", "user.email=same@localhost")  # git refuses to commit without one
    return _git(repository, *identity, "stash", "create") or resolve(repository, "HEAD")


def untracked(repository: Path) -> list[str]:
    """Returns the files that a snapshot lacks because git does not track them."""
    return _git(repository, "ls-files", "--others", "--exclude-standard").splitlines()


@contextlib.contextmanager
def checkout(repository: Path, commit: str, folder: Path) -> Iterator[Path]:
    """Yields a worktree of a commit and removes it afterwards, also after an exception or Ctrl-C."""
    try:
        _git(repository, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        yield folder
    finally:
        subprocess.run(["git", "-C", repository, "worktree", "remove", "--force", folder], check=False,
                       capture_output=True)


def _git(repository: Path, *arguments: str, failure: str = "") -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise CouldNotRunError(failure or f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
