"""Entry points of installed packages: found, called with settings, recorded, and refused by one line."""

from typing import Literal

import pytest
from own_packages import install
from pydantic import BaseModel, Field

from tfrs_pretrain.config.packaged import own_code_records
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.registry import kind_named
from tfrs_pretrain.own_code import (
    BACKBONES,
    FEATURES,
    NEGATIVES,
    SOURCES,
    TASKS,
    entry_point_names,
    plug_in,
    refuse_taken_names,
)

GROUPS = (BACKBONES, FEATURES, NEGATIVES, SOURCES, TASKS)


class Typed:
    class Settings(BaseModel):
        units: int = Field(3, ge=1)
        name: Literal["a", "b"] = "a"

    def __init__(self, units, name, count):
        self.received = units, name, count


def plain(units=1, *, count):
    return units, count


def fails():
    raise RuntimeError("no GPU in this\nhouse")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Installs entry points of this module: ``own(group, name=path)``."""
    def installed(group, package="own-package", version="0.1", **points):
        install(tmp_path / package, monkeypatch, {group: points}, package, version)

    return installed


def refusal(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("group", GROUPS)
def test_a_broken_entry_point_is_one_line_with_package_entry_point_and_cause(own, group):
    own(group, broken="own_package_of_nobody.gone:Gone")
    message = refusal(plug_in(group, "broken").load)
    assert message.startswith(f"entry point 'broken' of {group} (package own-package 0.1, "
                              "own_package_of_nobody.gone:Gone): 'own_package_of_nobody.gone:Gone' cannot be imported "
                              "(ModuleNotFoundError: No module named 'own_package_of_nobody')")


def test_it_is_called_with_validated_settings_and_the_arguments_that_it_names(own):
    own(TASKS, typed="test_own_code:Typed", plain="test_own_code:plain", broken="test_own_code:fails")
    assert entry_point_names(TASKS) == ["broken", "plain", "typed"]
    offered = {"count": 7, "seed": 1}
    assert plug_in(TASKS, "typed").create({"units": 5}, offered).received == (5, "a", 7)
    assert plug_in(TASKS, "plain").create({"units": 5}, offered) == (5, 7)
    assert "cannot be created with {} (RuntimeError: no GPU in this house)" in refusal(
        lambda: plug_in(TASKS, "broken").create({}, offered))


@pytest.mark.parametrize(("name", "settings", "message"), [
    ("typed", {"depth": 1}, r"has no setting 'depth': its settings are ['units', 'name']"),
    ("typed", {"units": 0}, "refuses its settings: units: Input should be greater than or equal to 1, received 0"),
    ("typed", {"name": "c"}, "refuses its settings: name: Input should be 'a' or 'b', received 'c'"),
    ("plain", {"depth": 1}, "has no setting 'depth': its parameters are ['units', 'count']"),
])
def test_unknown_and_wrong_settings_are_refused(own, name, settings, message):
    own(TASKS, typed="test_own_code:Typed", plain="test_own_code:plain")
    found = refusal(lambda: plug_in(TASKS, name).create(settings, {"count": 1}))
    assert message in found
    assert found.startswith(f"entry point '{name}' of tfrs_pretrain.tasks (package own-package 0.1, ")


def test_package_version_and_completed_settings_are_recorded(own):
    from tfrs_pretrain.config import PretrainingConfig

    own(TASKS, version="2.5", typed="test_own_code:Typed")
    settings = PretrainingConfig(objective={"kind": "typed", "settings": {"units": 9}})
    assert own_code_records(settings) == {"own_code": [
        {"group": TASKS, "name": "typed", "path": "test_own_code:Typed", "package": "own-package", "version": "2.5",
         "settings": {"units": 9, "name": "a"}}]}
    assert own_code_records(PretrainingConfig()) == {}


def test_names_that_are_taken_absent_or_ambiguous_are_refused(own):
    own(TASKS, softmax="test_own_code:plain", mine="test_own_code:plain")
    assert refusal(lambda: refuse_taken_names(TASKS, ("softmax", "cosine_contrastive"))) == (
        "entry point 'softmax' of tfrs_pretrain.tasks (package own-package 0.1, test_own_code:plain): the name is "
        "taken by a built-in kind; rename the entry point or uninstall the package")
    refuse_taken_names(NEGATIVES, ("uniform",))
    assert "no installed package has an entry point 'other'" in refusal(lambda: plug_in(TASKS, "other"))
    own(TASKS, package="their-package", mine="test_own_code:Typed")
    assert "several packages have an entry point 'mine' of group 'tfrs_pretrain.tasks' (test_own_code:Typed, " in (
        refusal(lambda: plug_in(TASKS, "mine")))


@pytest.mark.parametrize(("path", "message"), [
    ("no_module:Kind", "cannot be imported (ModuleNotFoundError"),
    ("test_own_code:Typed", "expected a class derived from tfrs_pretrain.features.base.Feature"),
    ("test_own_code:plain", "expected a class derived from tfrs_pretrain.features.base.Feature"),
    ("tfrs_pretrain.features.base:Feature", "feature kind Feature lacks clean, golden_values, graph_column, "),
    ("tfrs_pretrain.features.numeric:NumericFeature", "declares the kind typing.Literal['numeric'], expected "
                                                      "Literal['mine']: give both one name"),
])
def test_a_feature_kind_that_cannot_be_used_is_one_line(own, path, message, monkeypatch):
    from tfrs_pretrain.features import registry

    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))
    own(FEATURES, mine=path)
    found = refusal(lambda: kind_named("mine"))
    assert found.startswith("entry point 'mine' of tfrs_pretrain.features (package own-package 0.1, ")
    assert message in found
