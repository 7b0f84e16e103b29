"""The built wheel, virtual environments, and what the extras name."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfrs_pretrain.extras import _module

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(__file__).with_name("commands.py")
SOURCES = ("setup.py", "README.md", "LICENSE", "tfrs_pretrain", "beam_pipelines")


def build_wheel(folder):
    """Builds the wheel from a copy of the sources and returns its path."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run([sys.executable, "-c", build, str(folder)], cwd=source)
    [wheel] = folder.glob("*.whl")
    return wheel


def requirements(wheel):
    """Returns the requirements in the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().split("\n\n")[0].splitlines()
    return [Requirement(line.partition(":")[2]) for line in lines if line.startswith("Requires-Dist:")]


def locked(name):
    """Returns the lines of a file of exact versions, without their digests."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line.removesuffix(" \\") for line in lines if not line.startswith(" ")]


def direct(given, extra=""):
    """Returns the requirements without an extra, or with one."""
    return [each for each in given if not each.marker or each.marker.evaluate({"extra": extra})]


def closure(given):
    """Returns names of all distributions that requirements install, as far as this environment has them."""
    found, waiting = set(), [(each.name, frozenset(each.extras)) for each in given]
    while waiting:
        name, extras = waiting.pop()
        if canonicalize_name(name) in found:
            continue
        found.add(canonicalize_name(name))
        for needed in map(Requirement, metadata.requires(name) or ()):
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def blocked(given, extra):
    """Returns the modules that some extra installs, but not this one."""
    installed = closure(direct(given, extra))
    names = {each.name: _module(each).partition(".")[0] for each in given}
    return sorted({module for name, module in names.items() if canonicalize_name(name) not in installed})


def install(folder, what):
    """Installs into a virtual environment, which is created without pip."""
    if not folder.exists():
        run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    run([sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-compile",
         "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt"), what])
    return folder / "bin" / "python"


def run_commands(python, folder, *, path="", **wanted):
    """Runs ``commands.py`` with a PYTHONPATH, and returns the JSON that it prints."""
    done = run([str(python), str(COMMANDS), json.dumps(wanted)], cwd=folder, PYTHONPATH=path)
    return json.loads(done.stdout.splitlines()[-1])


def run(command, cwd=None, check=True, **variables):
    """Runs a command without the path of this process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600, env=environment)
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done
