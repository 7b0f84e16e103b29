"""Memory plan of an arm, compared with its variables; an arm starts only if it fits."""

import pytest

from tfrs_pretrain.config import Config
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.arm_memory_plan import ArmPlan, arm_plans
from tfrs_pretrain.ranking.build import build_parts
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.training.devices import Device

WARM = {"transfer": {"kind": "warm_start", "fresh_dim": 2}}
ARMS = {
    "scratch": {}, "warm": WARM, "frozen": {"transfer": "frozen"},
    "distilled": {"transfer": {"kind": "warm_start", "evidence": None},
                  "distillation": {"teacher": {"hidden": [32, 16]}}},
    "anchored": WARM | {"anchor": {"weight": 0.1}, "table_learning_rate": 1e-3},
    "by_evidence": {"transfer": {"kind": "warm_start", "evidence": 10.0, "pretrained_rms": 0.3}},
    "new_tables": {"epochs": 3, "meda": {}},
    "groups": {"epochs": 3, "meda": {"kind": "continual", "chunks": 2}},
}
DEVICE = Device("GPU:0", 0, 1, host=False)


def configured(dataset, **ranking):
    tree = dataset.info["config"]
    return Config.model_validate(tree | {"ranking": tree["ranking"] | {"arms": ARMS} | ranking})


@pytest.mark.parametrize("settings", [{}, {"table_optimizer": "rowwise_adagrad", "interval_decay": 0.1},
                                      {"frequency_adaptive_rate": True}])
@pytest.mark.parametrize("arm", ARMS)
def test_the_plan_equals_the_size_of_the_arms_variables(planted, planted_embeddings, arm, settings):
    config, dataset = configured(planted.dataset, **settings), planted.dataset
    plan = ArmPlan(config, dataset, arm)
    parts = build_parts(config, dataset, config.ranking.arms[arm], Embeddings.open(planted_embeddings), steps=10)
    held = sum(variable.shape.num_elements() * variable.dtype.size
               for learner in parts.learners for variable in (*learner.variables, *learner.row_scales.values()))
    anchors = 8 * 4 * (dataset.num_rows("user") + dataset.num_rows("item")) if arm == "anchored" else 0
    steps = 8 * sum(variable.name.endswith("_step:0") and variable.shape.rank == 0  # counters of the tables
                    for learner in parts.learners for variable in learner.variables)
    assert plan.layout(plan.settings).bytes_on(DEVICE) == held + anchors - steps


def test_the_planned_bytes_by_hand(planted):
    plan = ArmPlan(configured(planted.dataset), planted.dataset, "scratch")
    layout = plan.layout(plan.settings)
    tables = (152 * 8 + 253 * 8 + 3 * 4) * 3 * 4
    width = 8 + 8 + 4 + 1 + 1  # rows, price, cosine
    weights = width * 16 + 16 + 16 * 8 + 8 + 8 + 1
    assert layout.bytes_on(DEVICE) == tables + weights * 3 * 4 + 8 + 4  # Adam's two moments, step and learning rate
    host = Device("CPU", 0, 2, host=True)
    assert layout.bytes_on(host) == 2 * layout.bytes_on(DEVICE) + tables / 3


def test_arms_with_the_same_layout_share_a_plan(planted):
    titles = [plan.title for plan in arm_plans(configured(planted.dataset), planted.dataset)]
    assert titles == [f"Memory plan of Stage II, {names}"
                      for names in ("scratch, new_tables", "warm", "frozen", "distilled", "anchored", "by_evidence",
                                    "groups")]


def test_an_arm_starts_only_if_it_fits(planted, planted_embeddings, tmp_path, monkeypatch):
    monkeypatch.setattr("tfrs_pretrain.ranking.run.local_devices",
                        lambda training: (Device("GPU:0", 80_000, 1, host=False),))
    with pytest.raises(UserError) as error:
        train_arm(configured(planted.dataset), planted.dataset, "distilled", tmp_path / "r",
                  embeddings=planted_embeddings)
    message = str(error.value)
    assert "the tables need 101.7 kB on GPU:0, which has 80.0 kB free" in message
    assert "set ranking.table_optimizer=rowwise_adagrad (needs " in message
    assert "and pretraining.dim=" in message
    assert "schema.item.max_size=" in message
    assert list(tmp_path.iterdir()) == []


def test_the_plan_suggests_leaving_out_the_teacher(planted, monkeypatch):
    plan = ArmPlan(configured(planted.dataset), planted.dataset, "distilled")
    (text, rest), = plan.without_components()
    assert text == "ranking.arms.distilled.distillation=null"
    scratch = ArmPlan(configured(planted.dataset), planted.dataset, "scratch")
    assert rest.layout(rest.settings).bytes_on(DEVICE) == scratch.layout(scratch.settings).bytes_on(DEVICE)
