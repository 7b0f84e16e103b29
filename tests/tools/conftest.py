"""Tests with the real tools of other teams: signers, trackers, tables. Run by ``make test-tools``."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import write_manifest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy" / "supply_chain.md"
sys.path.append(str(Path(__file__).resolve().parents[1] / "serving" / "exporting"))


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Function: name -> (private key, public key), made by the commands of docs/deploy/supply_chain.md."""
    folder = tmp_path_factory.mktemp("keys")
    documented = re.findall(r"^openssl .*?(?=  +#)", PAGE.read_text(), re.MULTILINE)
    assert len(documented) == 2

    def keys(name="release"):
        private, public = folder / f"{name}.key", folder / f"{name}.pub"
        if not public.exists():
            for command in documented:
                subprocess.run(command.replace("release.", f"{name}.").split(), check=True, capture_output=True,
                               cwd=folder)
        return private, public

    return keys


@pytest.fixture
def version(tmp_path):
    """A complete version folder with two deltas, whose files only look like a model's."""
    from literal_report import literal_report

    folder = tmp_path / "models" / "ranker" / "3"
    (folder / EXTRA_ASSETS).mkdir(parents=True)
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(bytes(1000))
    report = literal_report().to_json() | {"version": 3, "live": {"token": "t", "key": {"salt": "00", "sha256": "00"}}}
    write_manifest(folder / EXTRA_ASSETS, SAVED_MODEL_KIND, report, root=folder)
    return folder


@pytest.fixture
def with_two_deltas(version):
    """The version, with the manifests of two deltas."""
    from tfrs_pretrain.artifact_names import DELTA_KIND
    from tfrs_pretrain.artifacts import read_manifest
    from tfrs_pretrain.json_documents import json_digest

    digest = base = json_digest(read_manifest(version / EXTRA_ASSETS, SAVED_MODEL_KIND))
    for number in (1, 2):
        delta = version.with_name("3.deltas") / f"{number:06d}"
        delta.mkdir(parents=True)
        (delta / "rows.npy").write_bytes(bytes(10 * number))
        write_manifest(delta, DELTA_KIND, {"base": {"version": 3, "digest": base}, "number": number,
                                           "predecessor": digest, "report": {}})
        digest = json_digest(read_manifest(delta, DELTA_KIND))
    return version


@pytest.fixture
def tool():
    """Function: runs a program of the tools' environment and returns its standard output."""
    def tool(name, *arguments, check=True):
        path = Path(sys.executable).with_name(name)
        done = subprocess.run([path if path.exists() else shutil.which(name), *map(str, arguments)],
                              capture_output=True, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return tool


@pytest.fixture
def as_json():
    return lambda path: json.loads(path.read_text())
