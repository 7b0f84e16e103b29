"""How much pretraining can help, from a literal manifest and from a dataset."""

import pytest

from tfrs_pretrain.data.pretraining_reach import PretrainingReach, low_coverage_warnings


def test_reach_of_a_dataset(tiny_dataset):
    reach = PretrainingReach.from_info(tiny_dataset.info)
    assert reach is not None
    assert list(reach.coverage) == ["train", "validation", "test"]
    assert reach.age == {"train": 0, "validation": 8, "test": 10}
    assert reach.age_unit == "day"
    counts = {space: sorted(tiny_dataset.vocabulary(space).counts.tolist()) for space in ("user", "item")}
    for space, values in counts.items():
        middle = len(values) // 2
        median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        assert reach.engagements_per_id[space] == median
    assert reach.coverage["test"]["pretrained_both"] == pytest.approx(
        reach.coverage["test"]["pretrained_items"], abs=0.1)


def test_manifests_of_earlier_versions_have_no_reach(tiny_dataset):
    info = {name: value for name, value in tiny_dataset.info.items() if name != "engagements_end"}
    assert PretrainingReach.from_info(info) is None


def test_low_coverage_is_explained():
    assert low_coverage_warnings({"user": 0.05, "item": 0.9}) == []
    [line] = low_coverage_warnings({"user": 0.0, "item": 0.9})
    assert line == ("only 0.0% of the training impressions have a pretrained user, because few of their ids have "
                    "engagements in the pretraining window: the pretrained user table can hardly help. Compare the "
                    "user ids of both logs, widen windows.pretrain, or lower schema.user.min_count")
