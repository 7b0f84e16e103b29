"""Shares of impressions and ids with pretrained rows, and the warning if there are hardly any."""

import numpy as np
import pytest

from tfrs_pretrain.ranking.transfer.coverage import coverage, print_coverage


def test_shares_of_impressions_and_of_ids(with_split):
    dataset = with_split("train", user=np.array([0, 2, 2, 3]), item=np.array([3, 0, 3, 4]),
                         user_id=np.array([900, 0, 0, 3]), item_id=["a", "b", "a", "c"])
    assert coverage(dataset, "impressions/train") == pytest.approx({
        "user_impressions": 3 / 4, "user_ids": 2 / 3, "item_impressions": 3 / 4, "item_ids": 2 / 3, "impressions": 0.5})


@pytest.mark.parametrize(("spaces", "warned"), [(("user", "item"), ["user"]), (("item",), [])])
def test_rows_that_nobody_uses_are_warned_of_with_a_reason(spaces, warned, with_split, capsys):
    dataset = with_split("train", user=np.zeros(50, int), user_id=np.arange(50) + 10**6, item=np.full(50, 5))
    print_coverage({"train": coverage(dataset, "impressions/train")}, spaces)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("! ")]
    assert [line.split(" have a ")[0] for line in lines] == ["! only 0.0% of the training impressions"] * len(warned)
    for space, line in zip(warned, lines, strict=True):
        assert f"have a pretrained {space}, because few of their ids have engagements in the pretraining window" in line
        assert line.endswith(f"widen windows.pretrain, or lower schema.{space}.min_count")
