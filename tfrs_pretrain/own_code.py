"""Code of the user's that a configuration names: by dotted path, or by the entry point of an installed package.

One contract for all groups of entry points: the entry point names a class or a function. It is called with the
``settings`` of the configuration as keyword arguments, and with those of the group's further arguments that it names.
If it has an attribute ``Settings``, a pydantic model, the settings are first validated and completed by that model.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from tfrs_pretrain.errors import UserError

BACKBONES = "tfrs_pretrain.backbones"
FEATURES = "tfrs_pretrain.features"
NEGATIVES = "tfrs_pretrain.negatives"
SOURCES = "tfrs_pretrain.sources"
TASKS = "tfrs_pretrain.tasks"
_MAX_REASON = 300  # characters


class PlugIn(NamedTuple):
    """An entry point of an installed package.

    Attributes:
      group: such as ``tfrs_pretrain.tasks``.
      name: of the entry point, which the configuration uses.
      path: module and name of the class or function.
      package: the distribution that declares it.
      version: of the package.
    """

    group: str
    name: str
    path: str
    package: str
    version: str

    @property
    def title(self) -> str:
        """The entry point for messages."""
        return f"entry point {self.name!r} of {self.group} (package {self.package} {self.version}, {self.path})"

    def load(self) -> Any:
        """Imports the class or function.

        Raises:
          UserError: the import fails.
        """
        with self.named():
            return load_path(self.path)

    def create(self, settings: Mapping[str, Any], offered: Mapping[str, Any]) -> Any:
        """Calls the class or function, see ``create``.

        Raises:
          UserError: it cannot be imported or called, or does not accept the settings.
        """
        with self.named():
            return create(self.path, settings, offered)

    def record(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The entry point and its settings, completed by their model, as JSON for a manifest.

        Raises:
          UserError: the class or function cannot be imported, or refuses the settings.
        """
        with self.named():
            model = _settings_model(load_path(self.path))
            return {**self._asdict(), "settings": model(**_validated(self.path, model, settings)).model_dump(
                mode="json") if model else dict(settings)}

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Puts the entry point in front of the message of a UserError."""
        try:
            yield
        except UserError as error:
            raise UserError(f"{self.title}: {error}") from error


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
    return sorted({plug_in.name for plug_in in _installed(group)})


def plug_in(group: str, name: str) -> PlugIn:
    """The installed entry point of a name; it is not imported.

    Raises:
      UserError: no installed package has it, or several packages have different ones.
    """
    found = {each.path: each for each in _installed(group) if each.name == name}
    if not found:
        raise UserError(f"no installed package has an entry point {name!r} of group {group!r}, only "
                        f"{entry_point_names(group)}: install the package, or correct the name")
    if len(found) > 1:
        raise UserError(f"several packages have an entry point {name!r} of group {group!r} "
                        f"({', '.join(sorted(found))}): uninstall all but one")
    return next(iter(found.values()))


def refuse_taken_names(group: str, built_in: Iterable[str]) -> None:
    """Refuses an entry point with the name of a built-in kind, which it would not replace.

    Raises:
      UserError: names the entry point.
    """
    taken = set(built_in)
    for each in _installed(group):
        if each.name in taken:
            raise UserError(f"{each.title}: the name is taken by a built-in kind; rename the entry point or uninstall "
                            "the package")


def _installed(group: str) -> tuple[PlugIn, ...]:
    return _scanned(group, tuple(sys.path))


@functools.lru_cache(maxsize=16)
def _scanned(group: str, path: tuple[str, ...]) -> tuple[PlugIn, ...]:
    """The scan reads the metadata of every installed package, which takes up to 0.1 s."""
    del path  # a key: another path has other packages
    return tuple(PlugIn(group, point.name, point.value, *_package(point))
                 for point in metadata.entry_points(group=group))


def _package(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")


def create(path: str, settings: Mapping[str, Any], offered: Mapping[str, Any], *, for_kwargs: Sequence[str] = ()
           ) -> Any:
    """Calls the class or function at a dotted path.

    Args:
      path: see ``load_path``.
      settings: arguments from the configuration; a pydantic model ``Settings`` of the class or function checks and
        completes them.
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
    if model := _settings_model(target):
        settings = _validated(path, model, settings)
    has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = [name for name in settings if name not in parameters]
    if unknown and not has_kwargs:
        raise UserError(f"{path!r} has no setting {unknown[0]!r}: its parameters are {list(parameters)}")
    accepted = {*parameters, *(for_kwargs if has_kwargs else ())}
    arguments = {name: value for name, value in offered.items() if name in accepted} | dict(settings)
    try:
        return target(**arguments)
    except Exception as error:  # the user's code may raise anything
        raise UserError(f"{path!r} cannot be created with {_shown(arguments)} ({reason(error)}): correct the settings "
                        "or the code") from error


def _validated(path: str, model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the fields of their model."""
    if unknown := [name for name in settings if name not in model.model_fields]:
        raise UserError(f"{path!r} has no setting {unknown[0]!r}: its settings are {list(model.model_fields)}")
    try:
        return dict(model.model_validate(settings))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "settings"
        raise UserError(f"{path!r} refuses its settings: {place}: {problem['msg']}, received "
                        f"{problem['input']!r}") from error


def _settings_model(target: Any) -> type[BaseModel] | None:
    model = getattr(target, "Settings", None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a message: arrays by their shape."""
    return {name: f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else value
            for name, value in arguments.items()}


def reason(error: Exception) -> str:
    """An error as part of one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_MAX_REASON]}" + ("…" if len(text) > _MAX_REASON else "")
