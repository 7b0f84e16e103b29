"""Imports between the modules of this project, read from their source, and the order that the README allows."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGES = ("beam_pipelines", "tfrs_pretrain")
BLOCK = re.compile(r"^```text imports\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules(root: Path) -> dict[str, Path]:
    """Dotted name of every module -> its file; a package stands for its ``__init__``."""
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
            for package in PACKAGES for path in sorted((root / package).rglob("*.py"))}


def imports(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the project's modules that it imports, at the top or inside a function."""
    return {name: {target for written in _written(path) if (target := _module(written, files)) and target != name}
            for name, path in files.items()}


def _written(path: Path) -> Iterator[str]:
    """Dotted names in import statements, and in calls of ``import_module`` with a constant."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def _module(written: str, files: Mapping[str, Path]) -> str | None:
    """The module that a name belongs to; None outside the project."""
    while written and written not in files:
        written = written.rpartition(".")[0]
    return written or None


@dataclasses.dataclass(frozen=True)
class Order:
    """Floor of each folder or file; a name covers all that is below it and has no entry of its own.

    The package ``tfrs_pretrain`` itself, with the public names, is above all.
    """

    floors: Mapping[str, int]

    @classmethod
    def parse(cls, text: str) -> Order:
        """Reads the block of the README: a line after the other, ``<`` within a line, ``folder: parts < parts``."""
        floors: dict[str, int] = {}
        for line in text.splitlines():
            folder, colon, parts = line.rpartition(":")
            prefix = folder if folder in PACKAGES else f"tfrs_pretrain.{folder}".rstrip(".")
            floor = max(floors.values(), default=0)
            for floor, names in enumerate(parts.split("<"), floor + 1):  # noqa: B020
                floors |= {f"{prefix}.{name}": floor for name in names.split()}
            if colon:
                floors[prefix] = floor + 1  # what is left of the folder
        return cls(floors | {"tfrs_pretrain": max(floors.values()) + 1})

    def entry(self, module: str) -> str | None:
        """The longest listed name that covers a module; None if only the package itself would."""
        while module not in self.floors:
            module = module.rpartition(".")[0]
            if module in ("tfrs_pretrain", ""):
                return None
        return module

    def violations(self, graph: Mapping[str, set[str]]) -> list[str]:
        """Modules without an entry, and imports that do not lead to a lower floor."""
        found = [f"{module} has no entry" for module in graph if self.entry(module) is None]
        for module, targets in graph.items():
            for target in sorted(targets):
                here, there = self.entry(module), self.entry(target)
                if here and there and here != there and self.floors[there] >= self.floors[here]:
                    found.append(f"{module} imports {target}")
        return found


def folders(graph: Mapping[str, set[str]], files: Mapping[str, Path]) -> dict[str, set[str]]:
    """The same graph between folders; a file of a package's top level stands for itself."""
    def folder(module: str) -> str:
        return module if module.count(".") < 2 or files[module].name == "__init__.py" else module.rpartition(".")[0]

    reduced: dict[str, set[str]] = {}
    for module, targets in graph.items():
        reduced.setdefault(folder(module), set()).update(folder(target) for target in targets)
    return {name: targets - {name} for name, targets in reduced.items()}
