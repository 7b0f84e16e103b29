"""The page about your own network: its code is the example package's, runs as shown, and its name is found."""

import contextlib
import copy
import io
import re
from pathlib import Path

import pytest
import yaml
from own_packages import EXAMPLE, entry_points_of, forget_modules, install, install_example
from typed_pages import blocks

from tfrs_pretrain.config import RankingConfig, parse_config
from tfrs_pretrain.config.packaged import packaged_kinds
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features import registry
from tfrs_pretrain.own_code import BACKBONES, NEGATIVES, TASKS
from tfrs_pretrain.ranking.model.configured_network import make_network

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own_network.md").read_text()
PACKAGE = EXAMPLE


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example package as an installation leaves it: its folder and its entry points on the path."""
    install_example(tmp_path / "site", monkeypatch)
    yield
    forget_modules()


def test_the_page_shows_the_files_of_the_example():
    shown = {title: text for _, title, text in blocks(PAGE) if title}
    assert shown["own_package/gated.py"] == (PACKAGE / "own_package/gated.py").read_text()
    assert shown["pyproject.toml"] in (PACKAGE / "pyproject.toml").read_text()


def test_the_page_about_own_code_shows_what_the_example_declares(installed, tiny_dataset):
    page = (ROOT / "docs" / "own_code.md").read_text()
    [declared] = [text for _, title, text in blocks(page) if title == "pyproject.toml"]
    groups = entry_points_of(declared) | {BACKBONES: {"gated": "own_package.gated:Gated"}}
    assert groups == entry_points_of((PACKAGE / "pyproject.toml").read_text())
    [shown] = [yaml.safe_load(text) for language, _, text in blocks(page) if language == "yaml"]
    tree = copy.deepcopy(tiny_dataset.info["config"])
    tree["schema"]["features"] += shown["schema"]["features"]
    tree["dataset"]["sources"] |= shown["dataset"]["sources"]
    tree |= {name: tree[name] | shown[name] for name in ("pretraining", "ranking")}
    config = parse_config(tree, origin="mine")
    assert {each.plug_in.group for each in packaged_kinds(config)} == {BACKBONES, NEGATIVES, TASKS}
    assert type(config.schema_.features[-1]).__name__ == "Weekday"
    assert config.dataset.sources.engagements.is_packaged
    registry.unregister("weekday")


@pytest.mark.slow
def test_the_code_trains_both_ways(installed, tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/dataset").symlink_to(tiny_dataset.folder)
    [code] = [text for language, title, text in blocks(PAGE) if language == "python" and not title]
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    first, second = (names[name].metrics["validation"]["auc"] for name in ("by_path", "instance"))
    assert f"validation AUC: {first} {second}" in printed.getvalue()
    assert (first, second) == pytest.approx((second, first), abs=0.05)
    assert first > 0.5


def test_its_name_is_a_backbone_of_the_configuration(installed):
    [_, shown] = [text for language, _, text in blocks(PAGE) if language == "yaml"]
    [settings] = re.findall(r"backbone: (.*)", shown)
    tree = {"arms": {}, "backbone": {"kind": "gated", "settings": {"units": 16}}}
    assert settings == "{kind: gated, settings: {units: 16}}"
    config = RankingConfig.model_validate(tree)
    assert config.has_own_network
    network = make_network(config, hidden=(3,), seed=1, attention=())
    assert (type(network.inner).__name__, network.inner.units) == ("Gated", 16)
    assert RankingConfig.model_validate(config.model_dump(mode="json")) == config


def refused(tiny_dataset, **ranking):
    tree = tiny_dataset.info["config"]
    with pytest.raises(UserError) as caught:
        config = parse_config(tree | {"ranking": tree["ranking"] | ranking}, origin="mine")
        make_network(config.ranking, hidden=(3,), seed=1, attention=())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_that_are_unknown_broken_or_not_unique_are_refused(installed, tiny_dataset, tmp_path, monkeypatch):
    unknown = refused(tiny_dataset, backbone="gatet")
    assert "ranking.backbone" in unknown
    assert ("unknown kind 'gatet': expected 'mlp', 'dcn_v2' or an entry point of tfrs_pretrain.backbones "
            "(installed: ['gated'])") in unknown
    install(tmp_path / "other", monkeypatch, {"tfrs_pretrain.backbones": {"gone": "own_package.gone:Gated"}}, "other")
    broken = refused(tiny_dataset, backbone="gone")
    assert broken.startswith("entry point 'gone' of tfrs_pretrain.backbones (package other 0.1, own_package.gone:Gated)"
                             ": 'own_package.gone:Gated' cannot be imported (ModuleNotFoundError")
    assert "has no such key" in refused(tiny_dataset, backbone={"kind": "gated", "units": 3})
    assert "network takes the place of backbone 'dcn_v2'" in refused(
        tiny_dataset, backbone="dcn_v2", network="own_package.gated:Gated")
    assert "ranking.network" in refused(tiny_dataset, network="own_package.gated")
