"""Optional dependencies: the extras of the package, which parts need them, and the line that names a missing one.

The extras themselves are in setup.py. They are read from the metadata of the installed package.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from tfrs_pretrain.errors import UserError

DISTRIBUTION = "tfrs-pretrain"
MAX_NAMED = 3  # packages in a message
# Package on the index -> the module that it installs, where the names differ
_MODULES = {"grpcio": "grpc", "protobuf": "google.protobuf", "faiss-cpu": "faiss",
            "tensorflow-serving-api": "tensorflow_serving", "pyopenssl": "OpenSSL", "cyclonedx-python-lib": "cyclonedx"}
# For a module that several extras install: the first of them is named
_ORDER = ("client", "beam", "train", "serve", "retrieval", "formats", "signing", "sbom", "gcp", "demo")


class MissingExtraError(UserError, ImportError):
    """A package of an extra is not installed, or has a version that the extra excludes."""


def require(what: str, *extras: str) -> None:
    """Checks that the packages of extras are installed, without importing them.

    An extra that the installed metadata does not list is not checked: the metadata of an editable installation may be
    older than its code.

    Args:
      what: who needs them, for the message.
      extras: names of extras in setup.py.

    Raises:
      MissingExtraError: names what is missing, and the command that installs it.
    """
    wanted = {str(requirement): requirement for extra in extras for requirement in _requirements(extra)}
    faults = [fault for requirement in wanted.values() if (fault := _fault(requirement))]
    if faults:
        words = f"extra {extras[0]!r}" if len(extras) == 1 else f"extras {' and '.join(map(repr, extras))}"
        more = f" and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        raise MissingExtraError(f"{what} needs the {words} ({', '.join(faults[:MAX_NAMED])}{more}): "
                                f"{pip_command(*extras)}")


def pip_command(*extras: str) -> str:
    """Returns the command that installs extras."""
    return f"pip install '{DISTRIBUTION}[{','.join(extras)}]'"


def missing_module(error: ImportError) -> str | None:
    """Describes the import of a module that an extra installs, in one line; None if no extra installs it."""
    top = (error.name or "").partition(".")[0]
    for extra in _ORDER:
        for requirement in _requirements(extra):
            if _module(requirement).partition(".")[0] == top and not _is_installed(requirement):
                return f"the package {requirement.name!r} is not installed: {pip_command(extra)}"
    return None


def explain(what: str, error: ImportError) -> None:
    """Raises the error of a missing extra instead of a failed import; returns if no extra installs the module.

    Raises:
      MissingExtraError: names the package and the command that installs it.
    """
    if line := missing_module(error):
        raise MissingExtraError(f"{what}: {line}") from error


@functools.cache
def _all_requirements() -> tuple[Requirement, ...]:
    try:
        return tuple(map(Requirement, metadata.requires(DISTRIBUTION) or ()))
    except metadata.PackageNotFoundError:  # run from a folder of sources
        return ()


def _requirements(extra: str) -> Iterator[Requirement]:
    """Packages that an extra adds."""
    for requirement in _all_requirements():
        marker = requirement.marker
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            yield requirement


def _module(requirement: Requirement) -> str:
    return _MODULES.get(requirement.name, requirement.name.replace("-", "_"))


def _version(requirement: Requirement) -> str | None:
    try:
        return metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return None


def _is_installed(requirement: Requirement) -> bool:
    """Whether the package is installed, or its module by another package, such as tensorflow-cpu."""
    if _version(requirement) is not None:
        return True
    try:
        return importlib.util.find_spec(_module(requirement)) is not None
    except ModuleNotFoundError:  # the parent of google.protobuf
        return False


def _fault(requirement: Requirement) -> str | None:
    version = _version(requirement)
    if version and not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed, {requirement.specifier} is needed"
    return None if _is_installed(requirement) else f"{requirement.name} is missing"
