"""Every kind of manifest that the program writes has an entry in the registry of ``forget``."""

import ast
from pathlib import Path

from tfrs_pretrain import artifact_names
from tfrs_pretrain.forgetting.kinds import INNER_KINDS, KINDS, REFUSED

ROOT = Path(__file__).resolve().parents[2]
WRITERS = {"write_manifest": 1, "manifest_text": 0, "run_steps": 1, "finish_folder": 1}  # position of the kind
PASSED_ON = {"kind", "artifact.kind", "content['kind']"}  # in functions that receive the kind


def _kinds_of_calls():
    for folder in ("tfrs_pretrain", "beam_pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WRITERS:
                    yield path, ast.unparse(node.args[WRITERS[node.func.id]])


def test_every_writer_names_a_known_kind():
    """A new kind, or one that is not in artifact_names, fails here until ``forget`` can remove ids from it."""
    written = {(path.name, name) for path, name in _kinds_of_calls() if name not in PASSED_ON}
    unknown = {entry for entry in written if not hasattr(artifact_names, entry[1])}
    assert unknown == set()
    kinds = {getattr(artifact_names, name) for _, name in written}
    assert kinds <= KINDS.keys() | INNER_KINDS | REFUSED.keys()
    assert len(kinds) >= 14


def test_every_named_kind_is_known():
    named = {value for name, value in vars(artifact_names).items() if name.endswith("_KIND")}
    assert named == KINDS.keys() | INNER_KINDS | REFUSED.keys()
