"""Measures Stage II against the same network as an idiomatic Keras 3 model; they take turns in one process.

    python benchmarks/stage_two.py [--json FILE] [--rounds 7]

1M users, 100k items with Zipf 1.1 popularity, dim 64, dense layers 128 and 64, one logit, Adam.

Ours: rows gathered outside the network, one lazy Adam update per table, the loop of `tfrs-pretrain train-ranker`.
Keras: ``Embedding`` layers in the model, ``compile`` with Adam, ``fit`` on tf.data. Both read the same batches through
tf.data and start at the same rows. Each ratio divides median times per step; the headline uses the first batch size,
the default.

Growth: our step with 4e6 user rows divided by our step with 1e5. History: our step with a history of up to 20 items,
on average half of them present, pooled by attention and by the mean, divided by our step without a history. Metrics:
rows per second through all ranking metrics, see ranking_metrics.py.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ranking_metrics import metric_rows_per_second
from timing import interleaved

from tfrs_pretrain.data.records import without_autotune
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.schema import HISTORY, ITEM_ROW, LABEL, PADDING, USER_ROW
from tfrs_pretrain.training.loop import run_epoch

USERS, ITEMS, ZIPF, DIM, HIDDEN = 1_000_000, 100_000, 1.1, 64, (128, 64)
RATE, TABLE_RATE = 3e-3, 5e-3
BATCHES = (1024, 4096)  # the first is the default of ranking.batch_size
GROWTH = (100_000, 4_000_000)
STEPS = {"ours": 64, "keras": 16}  # a turn
LENGTH, ATTENTION = 20, (32,)
DISTINCT = 512  # batches; more rows than the processor's cache keeps

Turn = Callable[[int], None]


class Silent(Meter):
    """A meter without a console."""

    def __init__(self) -> None:
        pass

    def advance(self, amount: float = 1) -> None:
        del amount

    def note(self, text: str) -> None:
        del text


def impressions(count: int, users: int) -> dict[str, np.ndarray]:
    """Returns the columns of ``count`` impressions."""
    generator, weights = np.random.default_rng(count), 1.0 / np.arange(1, ITEMS + 1) ** ZIPF
    return {USER_ROW: generator.integers(0, users, count),
            ITEM_ROW: generator.choice(ITEMS, count, p=weights / weights.sum()),
            LABEL: (generator.random(count) < 0.2).astype(np.float32)}


def histories(count: int) -> dict[str, np.ndarray]:
    """Returns the padded column of up to ``LENGTH`` items, with the popularity of shown items."""
    generator, weights = np.random.default_rng(count), 1.0 / np.arange(1, ITEMS + 1) ** ZIPF
    items = generator.choice(ITEMS, (count, LENGTH), p=weights / weights.sum())
    there = np.arange(LENGTH) < generator.integers(0, LENGTH + 1, (count, 1))
    return {HISTORY: np.where(there, items, PADDING)}


def batches(size: int, users: int, *, history: bool = False) -> Callable[[int, int], tf.data.Dataset]:
    """Returns a function from turn and steps to batches [size]; each turn reads other rows, like training."""
    columns = impressions(size * DISTINCT, users) | (histories(size * DISTINCT) if history else {})

    def of_turn(number: int, steps: int) -> tf.data.Dataset:
        first = number * steps % DISTINCT
        part = {name: values[first * size:(first + steps) * size] for name, values in columns.items()}
        # The tuner of tf.data would delay the end of each turn until 10, 30, 70, ... 630 ms after its start.
        return without_autotune(tf.data.Dataset.from_tensors(part).rebatch(size, drop_remainder=True).prefetch(8))

    return of_turn


@functools.cache
def rows(users: int) -> dict[str, np.ndarray]:
    return {name: normal_matrix(count, DIM, 0.05, seed)
            for seed, (name, count) in enumerate(((USER_ROW, users), (ITEM_ROW, ITEMS)))}


def ours(size: int, users: int, pooling: str | None = None) -> Turn:
    """Builds this package's learner in its loop, with a history if ``pooling`` is given."""
    history = [RowInput(HISTORY, HISTORY, ITEM_ROW, ITEM_ROW, LENGTH, pooling)] if pooling else []
    inputs = Inputs((RowInput.single(USER_ROW), RowInput.single(ITEM_ROW), *history), {}, ())
    network = RankingNetwork(Mlp(HIDDEN, 1), 1, attention=inputs.attention, attention_hidden=ATTENTION)
    rules = dict.fromkeys(inputs.tables, make_optimizer("lazy_adam"))
    ranker = build_ranker(inputs, rows(users), network, rules=rules)
    step = label_step(Learner(ranker, learning_rate=RATE, table_learning_rate=TABLE_RATE))
    data, steps = batches(size, users, history=bool(pooling)), STEPS["ours"]
    strategy, meter = tf.distribute.get_strategy(), Silent()
    return lambda number: _discard(run_epoch(strategy, step, data(number, steps), steps=steps, meter=meter))


def idiomatic(size: int, users: int) -> Turn:
    """Builds the same network as in Keras's own tutorials."""
    ids = {name: keras.Input((), dtype="int64", name=name) for name in (USER_ROW, ITEM_ROW)}
    hidden = keras.layers.Concatenate()([
        keras.layers.Embedding(len(table), DIM, weights=[table])(ids[name])
        for name, table in sorted(rows(users).items())])
    for units in HIDDEN:
        hidden = keras.layers.Dense(units, "relu")(hidden)
    model = keras.Model(ids, keras.layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    data, steps = batches(size, users), STEPS["keras"]

    def turn(number: int) -> None:
        pairs = data(number, steps).map(lambda batch: ({name: batch[name] for name in ids}, batch[LABEL]))
        model.fit(pairs, steps_per_epoch=steps, shuffle=False, verbose=0)

    return turn


def speedup(size: int, rounds: int) -> dict[str, float]:
    """Times a step of both implementations, by batch size."""
    seconds = interleaved({"ours": ours(size, USERS), "keras": idiomatic(size, USERS)}, rounds=rounds)
    each = {name: value / STEPS[name] for name, value in seconds.items()}
    print(f"batch {size}: " + " · ".join(f"{name} {1e3 * value:.2f} ms a step, {size / value:,.0f} examples/s"
                                         for name, value in each.items()), flush=True)
    return {f"speedup_over_idiomatic_keras_b{size}": each["keras"] / each["ours"],
            f"examples_per_second_b{size}": size / each["ours"]}


def growth(rounds: int) -> float:
    """Returns our step time with the most user rows over that with the fewest, at the first batch size."""
    seconds = interleaved({str(users): ours(BATCHES[0], users) for users in GROWTH}, rounds=rounds)
    print("user rows: " + " · ".join(f"{name} {1e3 * value / STEPS['ours']:.2f} ms a step"
                                     for name, value in seconds.items()), flush=True)
    return seconds[str(GROWTH[1])] / seconds[str(GROWTH[0])]


def history(rounds: int) -> dict[str, float]:
    """Returns our step time with a history over that without, at the first batch size."""
    kinds = {"none": None, "mean": "mean", "attention": "attention"}
    seconds = interleaved({name: ours(BATCHES[0], USERS, kind) for name, kind in kinds.items()}, rounds=rounds)
    print("history: " + " · ".join(f"{name} {1e3 * value / STEPS['ours']:.2f} ms a step"
                                   for name, value in seconds.items()), flush=True)
    return {f"step_time_with_history_{name}": seconds[name] / seconds["none"] for name in ("mean", "attention")}


def _discard(result: object) -> None:
    del result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the ratios here")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, tensorflow {tf.__version__}, keras "
          f"{keras.__version__}; medians of {options.rounds} turns of {STEPS} steps, contenders in rotating order")
    result: dict[str, float] = {}
    for size in BATCHES:
        result |= speedup(size, options.rounds)
        gc.collect()
    result["speedup_over_idiomatic_keras"] = result[f"speedup_over_idiomatic_keras_b{BATCHES[0]}"]
    result["step_time_growth_1e5_to_4e6"] = growth(options.rounds)
    gc.collect()
    result |= history(options.rounds)
    result["metric_rows_per_second"] = metric_rows_per_second(rounds=options.rounds)
    for name, value in result.items():
        print(f"{name:45}{value:>16,.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
