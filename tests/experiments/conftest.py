import pytest
import yaml
from planted import planted_config

from tfrs_pretrain.experiments.experiment_plan import Plan, Selection


@pytest.fixture
def plan(tmp_path):
    """Plan an experiment on planted logs with these arms and further keys."""

    def planned(arms, selection=None, **keys):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_config()))
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump({"title": "test", "config": "config.yaml", "logs": {"source": "planted"},
                                        "seeds": [1, 2], "baseline": next(iter(arms)), "arms": arms} | keys,
                                       sort_keys=False))
        return Plan(path, selection or Selection())

    return planned
