"""Prints the public interface: every public name with its signature, and the methods and fields of classes.

    python tests/api/public_surface.py > tests/api/public_surface.txt
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import tfrs_pretrain

SPECIAL = ("__init__", "__call__")


def surface() -> str:
    """Returns the text, one line for each name, method and field."""
    lines = []
    for name in sorted(set(tfrs_pretrain.__all__) - {"__version__"}):
        value = getattr(tfrs_pretrain, name)
        lines += class_lines(value) if isinstance(value, type) else [function_line(definition(value))]
    return "\n".join(lines) + "\n"


def class_lines(value: type) -> list[str]:
    """Returns the class, then its members in order of their names, inherited ones of this project included."""
    members: dict[str, str] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("tfrs_pretrain."):
            members |= dict(member_lines(definition(base)))
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    return [f"class {value.__name__}({bases})", *(f"    {members[name]}" for name in sorted(members))]


def member_lines(node: Any) -> Iterator[tuple[str, str]]:
    """Yields the name and the line of each public field and method of a class definition."""
    for item in node.body:
        match item:
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                default = f" = {ast.unparse(undescribed(item.value))}" if item.value else ""
                yield name, f"{name}: {ast.unparse(item.annotation)}{default}"
            case ast.FunctionDef(name=name) if not name.startswith("_") or name in SPECIAL:
                decorators = [ast.unparse(decorator) for decorator in item.decorator_list]
                yield name, "".join(f"@{text} " for text in decorators) + function_line(item)


def undescribed(value: ast.expr) -> ast.expr:
    """Returns the default of a field without its description."""
    if isinstance(value, ast.Call):
        value.keywords = [keyword for keyword in value.keywords if keyword.arg != "description"]
    return value


def function_line(node: Any) -> str:
    """Returns the signature of a function definition."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"def {node.name}({ast.unparse(node.args)}){returns}"


def definition(value: Any) -> Any:
    """Returns the syntax tree of a function or class."""
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


if __name__ == "__main__":
    print(surface(), end="")
