"""What both commits run, as command lines.

Where commits spell something differently, the spellings stand side by side, the newest first, and the commit takes the
first one that it accepts. To support another spelling, add it to the list of ``COMMANDS`` or ``choices``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

# The defaults of warm_start changed in 0.2.0; these settings are the earlier ones.
PLAIN = "{kind: warm_start, pretrained_learning_rate_scale: 0.1, shrinkage: null, evidence: null, cold_rows: random}"
# Name used in the steps below -> spellings of the command.
COMMANDS = {
    "train-ranker": ["train-ranker", "rank"],
}
Step = Sequence[str]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Runs of the command line in one folder.

    Attributes:
      name: folder of the results.
      config: bundled name, or YAML file relative to this folder.
      choices: name -> alternatives, each a list of KEY=VALUE. A step refers to a choice as "@name"; "@changes" are the
        settings that the caller gives to one side only.
      processes: steps of each process, in order. A step is a command line whose first word is a key of ``COMMANDS``,
        or a command with one spelling.
    """

    name: str
    config: str
    choices: dict[str, list[list[str]]]
    processes: Sequence[Sequence[Step]]

    def plan(self, process: int, checkout: Path, changes: Sequence[str]) -> dict:
        """Returns the plan of one process, see ``driver.py``."""
        path = Path(__file__).with_name(self.config)
        return {"checkout": str(checkout), "config": str(path) if path.is_file() else self.config,
                "choices": self.choices | {"changes": [list(changes)]},
                "steps": [[COMMANDS.get(command, [command]), *arguments]
                          for command, *arguments in self.processes[process]]}


def _dataset(output: str, *choices: str) -> Step:
    return ("dataset", "--config", str(Path(__file__).with_name("planted.yaml")), "--raw", "../../logs",
            "--output", output, *choices, "@changes")


def _ranker(arm: str, dataset: str, embeddings: str, *choices: str, output: str = "") -> Step:
    return ("train-ranker", "--dataset", dataset, "--embeddings", embeddings, "--arm", arm,
            "--output", f"rankers/{output or arm}", *choices)


DEMO = Scenario("demo", "completejourney", {}, [[
    ("demo", "--workdir", "run", "--models", "models", "--set", "completejourney.max_households=60",
     "--set", "pretraining.epochs=1", "--set", "pretraining.batch_size=512", "--set", "ranking.batch_size=512",
     "@changes")]])

PLANTED = Scenario("planted", "planted.yaml", {
    # Stage I
    "mixed": [
        ["pretraining.embedding_l2=0.001",
         "pretraining.objective={kind: softmax, temperature: 0.07, learn_temperature: true, popularity_prior: 0.3, "
         "negatives: {kind: mixed, count: 64, log_q: refined, mask_known_positives: true}}"],
        ["pretraining.embedding_l2=0.001", "pretraining.learn_temperature=true", "pretraining.popularity_prior=0.3",
         "pretraining.negatives=mixed", "pretraining.uniform_negatives=64", "pretraining.log_q_form=refined",
         "pretraining.mask_known_positives=true"]],
    "cosine": [
        ["pretraining.objective={kind: cosine_contrastive, negatives: {kind: uniform, count: 64}}"],
        ["pretraining.objective=cosine_contrastive", "pretraining.negatives=uniform",
         "pretraining.uniform_negatives=64"]],
    "adagrad": [["pretraining.optimizer=rowwise_adagrad", "pretraining.schedule=cosine",
                 "pretraining.interval_decay=0.01"]],
    # The network and the arms of Stage II
    "deep_cross": [["ranking.backbone={kind: dcn_v2, rank: 4}", "ranking.history=attention",
                    "ranking.attention_hidden=[8]", "ranking.head_hidden=[4]", "ranking.labels={liked: 0.5}",
                    "ranking.similarity=[dot, cosine, norms]", "ranking.schedule=linear",
                    "ranking.embedding_l2=0.0001"]],
    "stacked": [["ranking.backbone={kind: dcn_v2, structure: stacked}", "ranking.table_optimizer=adagrad",
                 "ranking.history=mean", "ranking.interval_decay=0.01"]],
    "distilled": [
        [f"ranking.arms.distilled={{transfer: {PLAIN}, anchor: {{weight: 0.1}}, distillation: {{teacher: {{kind: "
         "online, hidden: [16]}, temperature: 2, warmup_steps: 5}}"],
        ["ranking.arms.distilled={transfer: warm_start, anchor: {weight: 0.1}, distillation: {teacher: {kind: online, "
         "hidden: [16]}, temperature: 2, warmup_steps: 5}}"],
        ["ranking.arms.distilled={transfer: warm_start, anchor: {weight: 0.1}, distillation: {hidden: [16], "
         "temperature: 2, warmup_steps: 5}}"]],
    "meda": [
        [f"ranking.arms.meda={{transfer: {PLAIN}, epochs: 2, meda: {{kind: non_continual}}}}"],
        ["ranking.arms.meda={transfer: warm_start, epochs: 2, meda: {kind: non_continual}}"],
        ["ranking.arms.meda={transfer: warm_start, epochs: 2, meda: {variant: non_continual}}"]],
    "frozen": [
        ["ranking.arms.frozen={transfer: {kind: frozen, fresh_dim: 4, pretrained_dropout: 0.1}, tables: {item: {kind: "
         "frozen_then_trainable, trainable_from_step: 5}}}"],
        ["ranking.arms.frozen={transfer: frozen, fresh_dim: 4, pretrained_dropout: 0.1, tables: {item: {transfer: "
         "frozen_then_trainable, trainable_from_step: 5}}}"]],
    "taught": [
        [f"ranking.arms.taught={{transfer: {PLAIN}, epochs: 2, early_stopping: {{}}, distillation: {{teacher: {{kind: "
         "fixed, path: rankers/distilled}}}"],
        ["ranking.arms.taught={transfer: warm_start, epochs: 2, early_stopping: {}, distillation: {teacher: {kind: "
         "fixed, path: rankers/distilled}}}"],
        ["ranking.arms.taught={transfer: warm_start, epochs: 2, early_stopping: {}, distillation: {teacher: "
         "rankers/distilled}}"]],
    # A later week: new ids, other formats of files
    "later": [["windows.pretrain={start: 0, end: 20}", "windows.train={start: 20, end: 28}",
               "windows.validation={start: 28, end: 30}", "windows.test={start: 30, end: 34}",
               "dataset.sources.engagements={path: engagements.jsonl, format: jsonl}",
               "dataset.compression=gzip"]],
    "int8": [["export.table_dtype=int8", "export.table_tolerance=0.5"]],
}, [
    [
        _dataset("dataset", "@mixed", "@deep_cross", "@distilled", "@meda", "@frozen", "@taught"),
        ("pretrain", "--dataset", "dataset", "--output", "embeddings"),
        _dataset("later_dataset", "@cosine", "@adagrad", "@stacked", "@later", "@distilled", "--extend", "dataset"),
        ("pretrain", "--dataset", "later_dataset", "--output", "later_embeddings", "--start-from", "embeddings"),
    ],
    [
        *(_ranker(arm, "dataset", "embeddings") for arm in ("scratch", "distilled", "meda", "frozen", "taught")),
        _ranker("distilled", "later_dataset", "later_embeddings", output="later_distilled"),
        ("evaluate", "rankers/distilled", "--against", "rankers/scratch", "--slice", "topic", "--replicates", "100",
         "--json", "evaluation.json"),
        ("export", "--dataset", "dataset", "--ranker", "rankers/distilled", "--models", "models"),
        ("export", "--dataset", "later_dataset", "--ranker", "rankers/later_distilled", "--models", "later_models",
         "@int8"),
    ],
])

SCENARIOS = {scenario.name: scenario for scenario in (DEMO, PLANTED)}
