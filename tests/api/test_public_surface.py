"""The public interface is the recorded one: a change of a name or signature is a decision, not an accident."""

import difflib
from pathlib import Path

import public_surface

RECORDED = Path(__file__).with_name("public_surface.txt")


def test_names_and_signatures_are_the_recorded_ones():
    changed = "\n".join(difflib.unified_diff(RECORDED.read_text().splitlines(), public_surface.surface().splitlines(),
                                             "recorded", "found", lineterm=""))
    assert not changed, (f"{changed}\nIf the change is intended, describe it in CHANGELOG.md and record it:\n"
                         "    python tests/api/public_surface.py > tests/api/public_surface.txt")


def test_signatures_contain_types_defaults_and_decorators():
    lines = RECORDED.read_text().splitlines()
    assert ("def load_config(config: ConfigLike, overrides: Sequence[str]=()) -> Config") in lines
    result = lines[lines.index("class PretrainResult()"):]
    assert "    @classmethod def from_manifest(cls, manifest: dict[str, Any]) -> PretrainResult" in result
    assert "    config: dict[str, Any]" in result
    assert not any("def _" in line for line in lines if "__init__" not in line and "__call__" not in line)
