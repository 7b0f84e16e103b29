"""Evaluates Stage I alone on the LightGCN split of Gowalla, with full ranking, beside published figures.

Popularity prior and embedding L2 are chosen on the ``valid`` part (trained on ``train``). The chosen configuration is
then trained again on ``train`` + ``valid`` and evaluated once on ``test``, which is used for no choice.

    python benchmarks/gowalla.py --data FOLDER [--json FILE] [--seeds N] [--dim 256] [--epochs 30]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from tfrs_pretrain.config import PretrainingConfig, SoftmaxObjective, TrainingConfig, UniformNegatives
from tfrs_pretrain.data.records import without_autotune
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.retrieval import retrieval_metrics
from tfrs_pretrain.metrics.top_items import top_items
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.objective import build_task, popularity_prior
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.progress import progress
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy, set_seeds

# Published Recall@20 and NDCG@20 of full rankings on the same split; None if not published.
PUBLISHED = {"MF-BPR": (0.1627, None), "YoutubeDNN": (0.1754, None), "LightGCN": (0.1830, 0.1554),
             "MF-CCL": (0.1837, None), "UltraGCN": (0.1862, 0.1580)}
CUTOFF = 20


@dataclasses.dataclass(frozen=True)
class Split:
    """Pairs of users and items, both counted from 0."""

    train: np.ndarray  # int64 [n, 2]
    evaluated: np.ndarray  # int64 [m, 2]
    users: int
    items: int


def read_split(folder: Path, train: tuple[str, ...], evaluated: str) -> Split:
    """Reads the pairs of the named parts of ``interactions.parquet``.

    Raises:
      UserError: the file does not exist.
    """
    path = folder / "interactions.parquet"
    if not path.is_file():
        raise UserError(f"--data {str(folder)!r}: expected interactions.parquet with user_id, item_id and split")
    table = pq.read_table(path, columns=["user_id", "item_id", "split"])
    pairs = np.stack([table["user_id"].to_numpy(), table["item_id"].to_numpy()], axis=1).astype(np.int64)
    part = table["split"].to_numpy(zero_copy_only=False).astype(str)
    return Split(pairs[np.isin(part, train)], pairs[part == evaluated], *(int(n) + 1 for n in pairs.max(axis=0)))


def train(split: Split, settings: PretrainingConfig, seed: int, note: str) -> dict[str, float]:
    """Trains both tables and evaluates the rows of the last epoch on ``split.evaluated``, without training items."""
    set_seeds(seed, deterministic=False)
    strategy = build_strategy(TrainingConfig())
    steps = len(split.train) // settings.batch_size
    with strategy.scope():
        model = build_model(split, settings, steps, seed)
    generator = np.random.default_rng(seed)
    with progress(note, settings.epochs * steps * settings.batch_size, "pairs") as meter:
        for epoch in range(1, settings.epochs + 1):
            batches = shuffled(split.train, settings.batch_size, generator)
            run_epoch(strategy, model.train_step, batches, steps=steps, meter=meter,
                      title=f"epoch {epoch}/{settings.epochs} · ")
    users = model.query_vectors(tf.range(split.users)).numpy()
    items = model.candidate_vectors(tf.range(split.items)).numpy()
    seen, relevant = (Interactions.from_pairs(*pairs.T, split.users) for pairs in (split.train, split.evaluated))
    return retrieval_metrics(top_items(users, items, CUTOFF, seen), relevant, (CUTOFF,))


def build_model(split: Split, settings: PretrainingConfig, steps: int, seed: int) -> TwoTower:
    """Builds this package's model; call it inside ``strategy.scope()``."""
    users, items = (EmbeddingTable(name, normal_matrix(rows, settings.dim, settings.initial_scale, seed + offset),
                                   make_optimizer(settings.optimizer, l2=settings.embedding_l2,
                                                  interval_decay=settings.interval_decay))
                    for offset, (name, rows) in enumerate((("user", split.users), ("item", split.items))))
    negatives = settings.objective.negatives
    sampler = UniformSampler(negatives.count, split.items, seed) if negatives.count else None
    sampling = NegativeSampling(negatives.in_batch, sampler)
    counts = np.maximum(np.bincount(split.train[:, 1], minlength=split.items), 1)
    share = counts / counts.sum()
    return TwoTower(users, items, build_task(settings, split.items), sampling.probability(share, settings.batch_size),
                    make_schedule(settings.schedule, settings.learning_rate, settings.epochs * steps,
                                  warmup_steps=settings.warmup_steps),
                    sampling=sampling, prior=popularity_prior(settings, share))


def shuffled(pairs: np.ndarray, batch_size: int, generator: np.random.Generator) -> tf.data.Dataset:
    """Returns one epoch of batches in a new order."""
    order = generator.permutation(len(pairs))
    columns = {name: tf.constant(pairs[order, index], tf.int32) for index, name in enumerate(("query", "candidate"))}
    return without_autotune(tf.data.Dataset.from_tensors(columns).rebatch(batch_size, drop_remainder=True).prefetch(8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of interactions.parquet")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--seeds", type=int, default=1, help="runs of the chosen configuration; the mean is reported")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--priors", type=float, nargs="+", default=[0.0, 0.5], help="popularity priors to choose from")
    parser.add_argument("--l2", type=float, nargs="+", default=[6e-4], help="embedding L2 to choose from")
    options = parser.parse_args()
    start = time.perf_counter()
    candidates = [settings_for(options, prior, l2) for prior in options.priors for l2 in options.l2]
    choice = choose(options.data, candidates)
    split = read_split(options.data, ("train", "valid"), "test")
    runs = [train(split, candidates[choice["chosen"]], seed, f"train + valid, seed {seed}")
            for seed in range(1, options.seeds + 1)]
    result = {
        "recall_at_20": float(np.mean([run["recall@20"] for run in runs])),
        "ndcg_at_20": float(np.mean([run["ndcg@20"] for run in runs])),
        "minutes": (time.perf_counter() - start) / 60,
        "seeds": options.seeds, "runs": runs, "valid": choice["valid"],
        "configuration": candidates[choice["chosen"]].model_dump(mode="json"),
    }
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def settings_for(options: argparse.Namespace, prior: float, l2: float) -> PretrainingConfig:
    # Temperature, negatives, batch size and rate were chosen on valid; larger values of any gained little there.
    objective = SoftmaxObjective(temperature=0.1, popularity_prior=prior, negatives=UniformNegatives(count=512))
    return PretrainingConfig(dim=options.dim, epochs=options.epochs, batch_size=2048, objective=objective,
                             learning_rate=3e-3, schedule="linear", embedding_l2=l2)


def choose(folder: Path, candidates: list[PretrainingConfig]) -> dict[str, Any]:
    """Returns the candidate with the largest recall on ``valid``, trained on ``train`` only."""
    if len(candidates) == 1:
        return {"chosen": 0, "valid": None}
    split = read_split(folder, ("train",), "valid")
    recalls = [train(split, settings, 1, f"choosing: {_named(settings)}")[f"recall@{CUTOFF}"]
               for settings in candidates]
    return {"chosen": int(np.argmax(recalls)),
            "valid": {_named(settings): recall for settings, recall in zip(candidates, recalls, strict=True)}}


def _named(settings: PretrainingConfig) -> str:
    return f"popularity_prior {settings.objective.popularity_prior:g}, embedding_l2 {settings.embedding_l2:g}"


def show(result: dict[str, Any]) -> None:
    print("\nGowalla, LightGCN split, full ranking, 29,858 users x 40,981 items")
    print(f"{'':24}{'Recall@20':>10}{'NDCG@20':>10}")
    for name, (recall, ndcg) in PUBLISHED.items():
        print(f"{name + ' (published)':24}{recall:10.4f}{'' if ndcg is None else format(ndcg, '.4f'):>10}")
    print(f"{'Stage I, dim ' + str(result['configuration']['dim']):24}{result['recall_at_20']:10.4f}"
          f"{result['ndcg_at_20']:10.4f}")
    chosen = result["valid"]
    print(f"seeds {result['seeds']} · Recall@20 by seed {[round(run['recall@20'], 4) for run in result['runs']]} · "
          f"{result['minutes']:.1f} minutes with the choice")
    print("Recall@20 on valid: " + (" · ".join(f"{name} {value:.4f}" for name, value in chosen.items()) if chosen
                                    else "not used, one candidate was given"))
    used = {key: result["configuration"][key] for key in (
        "objective", "negatives", "uniform_negatives", "temperature", "popularity_prior", "dim", "epochs", "batch_size",
        "optimizer", "learning_rate", "schedule", "embedding_l2", "initial_scale")}
    print(used)


if __name__ == "__main__":
    main()
