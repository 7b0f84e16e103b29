"""The image for every stage: what its recipe copies and installs, and what its entry point starts."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
BLOCK = re.compile(r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def locked(name):
    """Package -> version of a file of locked dependencies, every line of which has a hash."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = BLOCK.findall(text)
    assert sum(3 + len(package) + len(version) + 2 + len(hashes) for package, version, hashes in found) == len(text)
    return {package: version for package, version, _ in found}


def ignored(path):
    """Whether the build context leaves a path out: everything but the exceptions of .dockerignore."""
    patterns = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return not any(path == pattern or path.startswith(f"{pattern}/") for pattern in patterns)


def test_the_recipe_copies_existing_files_of_the_build_context():
    copied = [name for names in re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$", RECIPE, re.MULTILINE)
              for name in names.split()]
    assert {"setup.py", "README.md", "tfrs_pretrain", "beam_pipelines"} < set(copied)
    assert not [name for name in copied if not (ROOT / name).exists() or ignored(name)]


def test_a_gpu_adds_cuda_to_the_same_packages():
    common, gpu = locked("container"), locked("gpu")
    assert {"tensorflow", "apache-beam", "keras", "model-signing", "cyclonedx-python-lib", "faiss-cpu"} <= common.keys()
    assert not common.keys() & gpu.keys()
    assert all(name.startswith("nvidia-") for name in gpu)
    assert "nvidia-cudnn-cu12" in gpu


def test_the_image_is_not_run_by_root():
    assert re.search(r"^USER 10001\n", RECIPE, re.MULTILINE)
    assert RECIPE.index("USER 10001") > RECIPE.index("pip install")


@pytest.mark.parametrize(("arguments", "started"), [
    (["retrain", "--rounds=/data", "two words"], "tfrs-pretrain retrain --rounds=/data two words"),
    (["--version"], "tfrs-pretrain --version"),
    ([], "tfrs-pretrain --help"),
    (["--id=1-1", "--provision_endpoint=localhost:1"], "boot --id=1-1 --provision_endpoint=localhost:1"),
    (["--worker_pool"], "boot --worker_pool"),
])
def test_the_entry_point_starts_a_command_or_a_worker_of_beam(arguments, started, tmp_path):
    for name in ("tfrs-pretrain", "boot"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([ROOT / "deploy" / "container" / "entrypoint", *arguments], capture_output=True, text=True,
                          check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}",
                                           "BEAM_BOOT": str(tmp_path / "boot")})
    assert done.stdout == f"{started}\n"
