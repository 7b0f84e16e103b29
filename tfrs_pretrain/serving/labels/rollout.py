"""Label moves in the steps that TensorFlow Serving accepts.

The server checks the labels of a changed models.config before it loads versions, and refuses the whole file if an
existing label names a version that is not loaded. It then loads nothing, and also refuses later edits that still
contain such a label. So a version is selected by the policy first, with all labels unchanged; the label moves when the
version is available.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.locks import folder_lock
from tfrs_pretrain.serving.labels.models_config import model_entry, read_text
from tfrs_pretrain.serving.labels.moves import (
    PREVIOUS,
    ROLLED_BACK,
    LabelChange,
    is_selected,
    move_label,
    select_version,
)
from tfrs_pretrain.serving.labels.served_model import ServedModel

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Rollout:
    """A label move, with or without a running server to watch.

    Attributes:
      path: the models.config.
      name: name of the model.
      label: the label that moves.
      version: the version that it will name.
      server: the running server; None: its state is unknown.
      suffix: suffix of the label that then names the earlier version.
    """

    path: Path
    name: str
    label: str
    version: int
    server: ServedModel | None = None
    suffix: str = PREVIOUS

    def run(self) -> str:
        """Runs the step, or both steps, that are safe, and returns what happened.

        Without a server, an existing label does not move in the call that selects the version: the next call moves it.

        Raises:
          UserError: the file cannot be edited; the server has not applied an earlier edit or one of these edits. A
            refused edit is undone.
        """
        if self.server:
            self.server.wait_until_labels(self._labels())
        if not self._is_selected() and (self.server or self._is_existing_label()):
            with self._edited(lambda: select_version(self.path, self.name, self.version)):
                if self.server:
                    self.server.wait_until_available(self.version)
            if not self.server:
                return self._advice_before_the_move()
        elif self.server:
            self.server.wait_until_available(self.version)
        with self._edited(self._move) as change:
            if self.server:
                self.server.wait_until_labels(self._labels())
        return f"{self._describe(change)}\n{self._confirmation()}"

    def _labels(self) -> dict[str, int]:
        return dict(model_entry(self.path, self.name).version_labels)

    def _is_selected(self) -> bool:
        return is_selected(self.path, self.name, self.version)

    def _is_existing_label(self) -> bool:
        return self.label in self._labels()

    def _move(self) -> LabelChange:
        if self._is_existing_label() and not self._is_selected():
            raise UserError(f"version {self.version} of model {self.name!r} is no longer selected in "
                            f"{str(self.path)!r}: another command has edited the file; run this command again")
        return move_label(self.path, self.name, self.label, self.version, self.suffix)

    def _describe(self, change: LabelChange) -> str:
        before, left = change.before, self._labels().get(f"{self.label}{ROLLED_BACK}")
        how = "unchanged" if before == self.version else "new" if before is None else f"was version {before}"
        if left is not None:
            how += f"; `roll-back --undo` returns to version {left}"
        return f"{self.path}: label {self.label} of {self.name} names version {self.version} ({how})"

    def _advice_before_the_move(self) -> str:
        return (f"{self.path}: version {self.version} of {self.name} is selected, and label {self.label} still names "
                f"version {self._labels()[self.label]}: the server refuses a label that moves to a version that is not "
                f"loaded.\nWait until `tfrs-pretrain query HOST:PORT {self.name} status` shows version {self.version} "
                "as AVAILABLE, then run this command again. With --server HOST:PORT one call does both.")

    def _confirmation(self) -> str:
        if self.server:
            return f"server {self.server.address} answers label {self.label} with version {self.version}"
        return (f"No --server was named, so it is unknown whether a server has applied the edit: `tfrs-pretrain query "
                f"HOST:PORT {self.name} metadata --label {self.label}` must show version {self.version}.")

    @contextlib.contextmanager
    def _edited(self, edit: Callable[[], T]) -> Iterator[T]:
        """Edits the file and yields the result; undoes the edit if the body fails, so that no refused edit stays."""
        with self._lock():
            before = read_text(self.path)
            result = edit()
            after = read_text(self.path)
        try:
            yield result
        except UserError as error:
            raise UserError(f"{error}. {self._undo(before, after)}") from error
        except BaseException:
            self._undo(before, after)
            raise

    def _undo(self, before: str, after: str) -> str:
        """Writes the earlier text, unless another command edited the file since, and returns what was done."""
        with self._lock():
            if read_text(self.path) != after:
                return f"Another command has edited {str(self.path)!r} since, so this edit was not undone"
            write_text(self.path, before)
            return f"{str(self.path)!r} has its earlier content again"

    def _lock(self) -> AbstractContextManager[None]:
        """Lets other edits in the folder wait: each reads the file, changes it and writes it."""
        read_text(self.path)  # a path that does not exist is refused; locking would create its folder
        return folder_lock(self.path.resolve().parent, wait=True)
