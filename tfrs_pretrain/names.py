"""Names that become folders, files, variables or inputs of a served model: what they may consist of.

They are checked when the configuration is read, because a name that TensorFlow or a file system refuses would otherwise
end a run at its last stage.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

MAX_LENGTH = 100  # a file name has at most 255 bytes, and suffixes follow
SUFFIXES = (".checkpoints", ".best")  # of the folders that a run keeps beside its output
# "self" is the first argument of TensorFlow's functions; the others are inputs or tables of the ranking network.
RESERVED = frozenset({"self", "numeric", "similarity", "fresh_user", "fresh_item"})
_FOLDER_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_COLUMN_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"


def check_folder_name(name: str) -> str:
    """Returns the name of a model, an arm or a version label; it can be a folder on any file system.

    Raises:
      ValueError: it cannot.
    """
    if not _matches(_FOLDER_NAME, name):
        raise ValueError(f"a name is used for folders: write at most {MAX_LENGTH} letters of a to z, digits and . _ -, "
                         "beginning with a letter, a digit or _")
    if name.lower().endswith(SUFFIXES):
        raise ValueError(f"a name must not end in {' or '.join(SUFFIXES)}, the folders beside a run's output")
    return name


def check_column_name(name: str) -> str:
    """Returns the name of a feature or a label; it can be a variable, and an input or output of a served model.

    Raises:
      ValueError: it cannot.
    """
    if not _matches(_COLUMN_NAME, name):
        raise ValueError("a name of a feature or label is used for variables and inputs of the served model: write at "
                         f"most {MAX_LENGTH} letters of a to z, digits and _, beginning with a letter (a feature can "
                         "name a column of another name in its key column)")
    return name


def check_feature_name(name: str) -> str:
    """Returns the name of a feature, see ``check_column_name``.

    Raises:
      ValueError: it is a reserved word of Python, or the name of another input of the network.
    """
    check_column_name(name)
    if keyword.iskeyword(name) or name.lower() in RESERVED:
        raise ValueError(f"{name!r} is reserved: choose another name, and name the column in the feature's key column")
    return name


def repeated(names: Iterable[str]) -> list[str]:
    """Returns the names that equal an earlier one, without regard to case, which some file systems ignore."""
    seen: set[str] = set()
    found = [name for name in names if name.lower() in seen or seen.add(name.lower())]  # type: ignore[func-returns-value]
    return sorted(set(found))


def _matches(pattern: str, name: str) -> bool:
    return len(name) <= MAX_LENGTH and re.fullmatch(pattern.removesuffix("$"), name) is not None


def _shown(pattern: str) -> WithJsonSchema:
    """The pattern for the reference of the configuration."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": MAX_LENGTH})


FolderName = Annotated[str, AfterValidator(check_folder_name), _shown(_FOLDER_NAME)]
ColumnName = Annotated[str, AfterValidator(check_column_name), _shown(_COLUMN_NAME)]
FeatureName = Annotated[str, AfterValidator(check_feature_name), _shown(_COLUMN_NAME)]
