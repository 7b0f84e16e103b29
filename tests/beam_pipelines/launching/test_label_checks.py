"""Labels that are missing in whole windows, from literal results of a pipeline."""

import json

import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.label_checks import check_labels
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError


def _job(folder, windows, optional=("clicked", "bought")) -> Job:
    """A job whose results count missing labels: window -> (examples, missing "clicked", missing "bought")."""
    tree = planted_config()
    tree["schema"] |= {"labels": ["bought"], "optional_labels": optional}
    files = [{"split": f"impressions/{window}", "path": window, "bytes": 1, "records": 1, "crc32c": "0",
              "examples": examples, "measures": {"positives": 0, "missing label": clicked, "missing bought": bought}
              if optional else {"positives": 0}}
             for window, (examples, clicked, bought) in windows.items()]
    (folder / ".results").mkdir()
    (folder / ".results" / "impressions.json").write_text(json.dumps(files))
    return Job(Config.model_validate(tree), "raw", str(folder))


@pytest.mark.parametrize("windows", [
    {"train": (9, 8, 8), "test": (5, 4, 5), "validation": (2, 0, 2)}, {"train": (9, 0, 0), "test": (0, 0, 0)}])
def test_a_further_label_may_be_missing_in_the_windows_of_evaluation(windows, tmp_path):
    check_labels(_job(tmp_path, windows))


def test_without_optional_labels_nothing_is_read(tmp_path):
    check_labels(_job(tmp_path, {"train": (9, 9, 9)}, ()))


@pytest.mark.parametrize(("windows", "where"), [
    ({"train": (1200, 0, 1200)}, "window train: label 'bought' is missing in all 1,200 impressions"),
    ({"train": (9, 9, 0)}, "window train: label 'clicked' is missing in all 9"),
    ({"train": (9, 0, 0), "test": (5, 5, 0)}, "window test: label 'clicked' is missing in all 5 impressions, expected "
                                              "some to be 0 or 1; correct the column, windows.test, or the labels")])
def test_a_label_that_is_missing_everywhere_is_refused(windows, where, tmp_path):
    with pytest.raises(UserError, match=where):
        check_labels(_job(tmp_path, windows))
