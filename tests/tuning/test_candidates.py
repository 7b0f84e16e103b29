"""The built-in candidates and those of a file."""

import pytest
import yaml
from planted import planted_config

from tfrs_pretrain.config import load_config, parse_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.tuning.candidates import builtin_candidates, load_candidates
from tfrs_pretrain.tuning.chosen_config import chosen_config

BUNDLED = load_config("completejourney")


def changed(settings, arm="warm_start", config=BUNDLED):
    return chosen_config(config, arm, settings, "test").ranking.arms["tuned"]


@pytest.mark.parametrize("arm", list(BUNDLED.ranking.arms))
def test_every_built_in_candidate_is_valid_and_differs_from_the_arm(arm):
    found = builtin_candidates(BUNDLED, arm)
    unchanged = {"plain_transfer"}  # what it removes is not there
    for name, settings in found.items():
        config = chosen_config(BUNDLED, arm, settings, name)
        same = (config.ranking.arms["tuned"] == BUNDLED.ranking.arms[arm]
                and config.pretraining == BUNDLED.pretraining)
        assert same == ((name in unchanged and arm != "scratch") or (name, arm) == ("scratch", "scratch")), name
        if name != "scratch":
            assert config.ranking.arms["tuned"].pretrained_tables.keys() == {"user", "item"}


def test_the_list_covers_both_stages_and_starts_with_scratch():
    found = builtin_candidates(BUNDLED, "warm_start")
    assert next(iter(found)) == "scratch"
    keys = {key for settings in found.values() for key in settings}
    assert {"pretraining.objective.temperature", "pretraining.epochs", "pretraining.dim",
            "pretraining.objective.popularity_prior", "arm.transfer.pretrained_learning_rate_scale",
            "arm.transfer.evidence", "arm.transfer.cold_rows", "arm.transfer.fresh_dim",
            "arm.transfer.pretrained_rms"} <= keys
    assert found["half_the_columns"] == {"pretraining.dim": 32, "ranking.id_dim": 32}
    assert "no_distillation" not in found
    assert builtin_candidates(BUNDLED, "warm_start_distilled")["no_distillation"] == {"arm.distillation": None}
    assert builtin_candidates(BUNDLED, "scratch")["warm_start"] == {"arm.transfer": "warm_start"}


def test_temperatures_near_the_configured_one_are_left_out():
    def temperatures(value):
        config = load_config("completejourney", [f"pretraining.objective.temperature={value}"])
        return [name for name in builtin_candidates(config, "warm_start") if name.startswith("temperature")]

    assert temperatures(0.21) == ["temperature_0.1", "temperature_0.05"]
    assert temperatures(0.07) == ["temperature_0.2", "temperature_0.1", "temperature_0.05"]


def test_the_scratch_candidate_drops_what_needs_pretrained_rows():
    config = load_config("completejourney", [
        "ranking.arms.warm_start={transfer: warm_start, tables: {user: frozen}, anchor: {weight: 0.1}}"])
    scratch = changed(builtin_candidates(config, "warm_start")["scratch"], config=config)
    assert (scratch.pretrained_tables, scratch.anchor) == ({}, None)


def test_a_file_of_candidates_keeps_its_order_and_can_add_the_built_in_ones(tmp_path):
    path = tmp_path / "candidates.yaml"
    own = {"soft": {"pretraining.objective.temperature": 0.3}, "scratch": {"arm.transfer": "scratch"}}
    path.write_text(yaml.safe_dump({"candidates": own}, sort_keys=False))
    assert load_candidates(path, BUNDLED, "warm_start") == own
    path.write_text(yaml.safe_dump({"candidates": own, "builtin": True}, sort_keys=False))
    both = load_candidates(path, BUNDLED, "warm_start")
    assert list(both)[:3] == ["soft", "scratch", "full_rate"]
    assert both["scratch"] == {"arm.transfer": "scratch"}  # the file's, not the built-in one


@pytest.mark.parametrize(("text", "message"), [
    ("candidates: {default: {seed: 1}}", "choose another name"),
    ("candidates: {}", "at least 1"),
    ("candidate: {}", "candidates: Field required"),
    ("candidates: {a/b: {}}", "folders"),
    ("[", "YAML"),
])
def test_a_bad_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "candidates.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_candidates(path, BUNDLED, "warm_start")
    assert "\n" not in str(caught.value)


def test_the_chosen_configuration_has_the_arm_tuned_and_keeps_the_others():
    config = parse_config(planted_config(), origin="test")
    chosen = chosen_config(config, "warm_start_distilled", {
        "pretraining.dim": 4, "ranking.id_dim": 4, "arm.transfer.evidence": 3, "arm.epochs": 2}, "test")
    assert chosen.export.arm == "tuned"
    assert list(chosen.ranking.arms) == ["scratch", "warm_start", "warm_start_distilled", "tuned"]
    tuned = chosen.ranking.arms["tuned"]
    assert (tuned.transfer.kind, tuned.transfer.evidence, tuned.epochs) == ("warm_start", 3, 2)
    assert tuned.distillation == config.ranking.arms["warm_start_distilled"].distillation
    assert (chosen.pretraining.dim, chosen.ranking.id_dim) == (4, 4)
    unchanged = chosen_config(config, "warm_start", {}, "test")
    assert unchanged.ranking.arms["tuned"] == config.ranking.arms["warm_start"]
    again = chosen_config(unchanged, "tuned", {"arm.transfer.evidence": 5}, "test")
    assert again.ranking.arms["tuned"].transfer.evidence == 5


def test_arms_that_the_chosen_settings_do_not_fit_are_dropped():
    config = parse_config(planted_config(), origin="test")
    chosen = chosen_config(config, "warm_start", {"arm.transfer": "scratch", "ranking.id_dim": 4}, "test")
    assert list(chosen.ranking.arms) == ["tuned"]
