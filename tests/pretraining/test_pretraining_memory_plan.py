"""The memory that Stage I needs, and that it starts only where there is room."""

import planted
import pytest

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.build import build_model
from tfrs_pretrain.pretraining.memory_plan import PretrainingMemoryPlan
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.devices import Device


def configured(**pretraining):
    tree = planted.planted_config()
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | pretraining})


@pytest.mark.parametrize(("settings", "columns"), [
    ({}, 3 * 8), ({"optimizer": "rowwise_adagrad"}, 9),
    ({"embedding_l2": 1e-4, "interval_decay": 0.01}, 3 * 8 + 1)])
def test_the_plan_is_the_size_of_the_model(tiny_dataset, settings, columns):
    config = configured(**settings)
    plan = PretrainingMemoryPlan(config, tiny_dataset)
    rows = sum(tiny_dataset.num_rows(name) for name in ("user", "item"))
    assert plan.layout(plan.settings).bytes_on(Device("GPU:0", 0, 1, host=False)) == rows * columns * 4
    model = build_model(config, tiny_dataset, 10)
    tables = [variable for table in (model.users, model.items) for variable in (table.weights, *table.slots.values())]
    assert sum(variable.shape.num_elements() for variable in tables) == rows * columns


def test_training_starts_only_where_it_fits(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("tfrs_pretrain.pretraining.run.local_devices",
                        lambda training: (Device("GPU:0", 9000, 1, host=False),))
    with pytest.raises(UserError, match=r"the tables need .* on GPU:0, which has 9.0 kB free.*pretraining.dim="):
        pretrain(configured(), tiny_dataset, tmp_path / "e")
    assert list(tmp_path.iterdir()) == []
