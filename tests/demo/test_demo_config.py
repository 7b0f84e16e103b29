"""The demo's section is split off the configuration and leaves the rest as it is."""

import pytest
import yaml

from tfrs_pretrain.config import load_config
from tfrs_pretrain.demo.config import CompleteJourneyConfig, load_demo_config
from tfrs_pretrain.errors import UserError


def test_without_the_section_the_logs_have_their_defaults():
    config, logs = load_demo_config("completejourney", ["seed=5"])
    assert config == load_config("completejourney", ["seed=5"])
    assert (logs.negatives_per_positive, logs.max_households) == (8, None)


@pytest.mark.parametrize("override", ["completejourney.max_households=7", "completejourney={max_households: 7}"])
def test_overrides_of_the_section_stay_out_of_the_configuration(override):
    config, logs = load_demo_config("completejourney", [override, "pretraining.epochs=2"])
    assert config == load_config("completejourney", ["pretraining.epochs=2"])
    assert logs == CompleteJourneyConfig(max_households=7)


def test_a_file_may_have_the_section(tmp_path):
    tree = load_config("completejourney").resolved() | {"completejourney": {"negatives_per_positive": 3}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    config, logs = load_demo_config(str(path), ["completejourney.max_households=4"])
    assert config == load_config("completejourney")
    assert logs == CompleteJourneyConfig(negatives_per_positive=3, max_households=4)


@pytest.mark.parametrize(("override", "words"), [
    ("completejourney.households=3", "configuration 'completejourney': completejourney: unknown key 'households'; the "
                                     "keys are ['max_households', 'negatives_per_positive']"),
    ("completejourney.max_households=0", "completejourney: max_households: Input should be greater than or equal to 1"),
    ("completejourneys.max_households=3", "unknown key 'completejourneys'")])
def test_mistakes_are_refused_in_one_line(override, words):
    with pytest.raises(UserError) as caught:
        load_demo_config("completejourney", [override])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
