"""Packages of a user's own as an installation leaves them: a folder and entry points on the path."""

import importlib
import re
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "own_package"


def entry_points_of(pyproject):
    """Group -> entry point name -> path."""
    points = re.findall(r'^\[project.entry-points."(\S+)"\]\n((?:\w+ = .*\n?)+)', pyproject, re.MULTILINE)
    return {group: dict(re.findall(r'^(\w+) = "(.*)"$', names, re.MULTILINE)) for group, names in points}


def install(folder, monkeypatch, groups, name="own-package", version="0.1"):
    """Installs entry points, group -> name -> path, of a package without code into a folder."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text("\n".join(
        "\n".join([f"[{group}]", *(f"{point} = {path}" for point, path in points.items())])
        for group, points in groups.items()))
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()


def install_example(folder, monkeypatch):
    """Installs the example package."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    install(folder, monkeypatch, entry_points_of((EXAMPLE / "pyproject.toml").read_text()))


def forget_modules(package="own_package"):
    """Removes the modules of a package, so that another test imports them anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
