"""Code of the user's that a configuration names: by dotted path, or by the entry point of an installed package."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from tfrs_pretrain.errors import UserError

BACKBONES = "tfrs_pretrain.backbones"
_MAX_REASON = 300  # characters


def load_path(path: str) -> Any:
    """Imports what a dotted path names.

    Args:
      path: module and name, such as ``my_package.my_module:MyModel``.

    Raises:
      UserError: the module cannot be imported, or it has no such name.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # the user's module may raise anything
        raise UserError(f"{path!r} cannot be imported ({reason(error)}): correct the path, which is module:name, and "
                        "install the package or put its folder into PYTHONPATH") from error
    return found


def entry_point_names(group: str) -> list[str]:
    """Names of the installed entry points of a group; none is imported."""
    return sorted({point.name for point in metadata.entry_points(group=group)})


def entry_point_path(group: str, name: str) -> str:
    """Dotted path of an entry point.

    Raises:
      UserError: no installed package has it, or several packages have different ones.
    """
    paths = sorted({point.value for point in metadata.entry_points(group=group, name=name)})
    if not paths:
        raise UserError(f"no installed package has an entry point {name!r} of group {group!r}, only "
                        f"{entry_point_names(group)}: install the package, or correct the name")
    if len(paths) > 1:
        raise UserError(f"several packages have an entry point {name!r} of group {group!r} ({', '.join(paths)}): "
                        "uninstall all but one")
    return paths[0]


def create(path: str, settings: Mapping[str, Any], offered: Mapping[str, Any], *, for_kwargs: Sequence[str] = ()
           ) -> Any:
    """Calls the class or function at a dotted path.

    Args:
      path: see ``load_path``.
      settings: arguments from the configuration.
      offered: further arguments, each passed if the class or function has a parameter of that name.
      for_kwargs: names of offered arguments that ``**kwargs`` accepts too.

    Raises:
      UserError: it cannot be imported or called, or has no such parameters.
    """
    target = load_path(path)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError) as error:
        raise UserError(f"{path!r} is not a class or function ({reason(error)}): name one") from error
    has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = [name for name in settings if name not in parameters]
    if unknown and not has_kwargs:
        raise UserError(f"{path!r} has no setting {unknown[0]!r}: its parameters are {list(parameters)}")
    accepted = {*parameters, *(for_kwargs if has_kwargs else ())}
    arguments = {name: value for name, value in offered.items() if name in accepted} | dict(settings)
    try:
        return target(**arguments)
    except Exception as error:  # the user's code may raise anything
        raise UserError(f"{path!r} cannot be created with {arguments} ({reason(error)}): correct the settings or the "
                        "code") from error


def reason(error: Exception) -> str:
    """An error as part of one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_MAX_REASON]}" + ("…" if len(text) > _MAX_REASON else "")
