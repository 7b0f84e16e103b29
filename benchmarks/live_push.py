"""Measures live updates: time of a push, answers of concurrent `rank` requests, cost of reads and of memory.

    python benchmarks/live_push.py [--json FILE] [--rows 4000000] [--share 0.01] [--requests 100000] [--pushes 8]
        [--seconds 360]

The untrained model of benchmarks/serving.py (4M users and 100k items of dim 64, 13 features) is saved twice: as usual,
and with live updates.

    rank_live_over_static   latency of `rank` with 500 candidates of the live model / of the usual one, in TensorFlow
                            Serving's session loader, with one thread a request as in saved_models/compose.yaml, by
                            the processor's time: median of the rounds, in each of which both answer 20 requests, with
                            the first and third quartile; also the ratio of two copies of the usual model, which is the
                            error of the measurement, and that of the live model after a push
    push_seconds            one push that changes a share of the users and of the items, from the first chunk to the
                            answer of the last one, over gRPC to a Python server in this process; median, no other load
    push_seconds_under_load the same while clients send `rank` requests with 20 candidates, one client per core
    requests, failed, other `rank` requests sent during the pushes; how many failed; how many received other scores than
                            those of the state before or after a push, compared bit for bit. Users and items change in
                            every push, so an answer from old and new rows counts as other
    load_live_over_tables   growth of the resident memory of a new process by loading the live model / size of its
                            tables without spare places, at the end and at most; likewise for the usual model
    push_growth             growth of this process's resident memory during all pushes / size of the tables

The client reads no files in this measurement: reading the version and its deltas comes before the first chunk. A grace
period of one second passes between pushes and is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from live_requests import Pusher, Readers
from memory_deltas import Change
from serving import DIM, FEATURE_DIM, ITEMS, NAME, Catalogue, Raw, impressions
from timing import interleaved_rounds

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.features.raw_input import CONTEXT, USER
from tfrs_pretrain.ranking.model.backbones.mlp import Mlp
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import Ranker, build_ranker
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.exporting.memory import memory_growth
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.graph.signatures import save
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.protocol.messages import ModelServerConfig
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, RANK
from tfrs_pretrain.serving.pushing.chunks import Chunk, delta_chunks
from tfrs_pretrain.serving.pushing.sender import Sender
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.run import DevelopmentServer
from tfrs_pretrain.serving.session import LoadedModel

# As in saved_models/compose.yaml. TensorFlow reads them when it is imported.
THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "-1"}
KEY, SPARE, GRACE, TURN, PROBES = bytes(range(32)), 0.05, 1.0, 20, 64


def make_ranker(catalogue: Catalogue, *, num_rows: int | None = None) -> Ranker:
    """Returns an untrained ranker, with tables of their full size or of a few rows."""
    settings = RankingConfig.model_construct(history="mean", similarity=("dot",))
    inputs = Inputs.of(catalogue, settings, privileged=False)
    rows = {name: normal_matrix(num_rows or catalogue.vocabulary(vocabulary).num_rows,
                                DIM if name in ("user", "item") else FEATURE_DIM, 0.05, seed)
            for seed, (name, vocabulary) in enumerate(inputs.tables.items())}
    return build_ranker(inputs, rows, RankingNetwork(Mlp((128, 64), 1), 1))


def save_models(catalogue: Catalogue, folder: Path) -> dict[str, Any]:
    """Saves both models as ``static/1`` and ``live/1``; returns what the measurement needs to know of them."""
    ranker = make_ranker(catalogue)
    with tempfile.TemporaryDirectory() as assets:
        contents = save(ServedRanker(ranker, catalogue, Path(assets)), folder / "static" / "1")
        gc.collect()
        live = LiveRanker(ranker, catalogue, Path(assets), LiveSettings(KEY, SPARE))
        save(live, folder / "live" / "1")
    return {"inputs": contents.inputs, "bytes": sum(table["bytes"] for table in contents.tables.values()),
            "live": live.described_updates()}


def make_chunks(catalogue: Catalogue, share: float, live: dict[str, Any]) -> list[list[Chunk]]:
    """Returns the chunks of two deltas that give the same rows different values."""
    ranker, random = make_ranker(catalogue, num_rows=1), np.random.default_rng(3)
    rows = {name: 1 + np.sort(random.choice(count, max(1, int(count * share)), replace=False))
            for name, count in (("user", catalogue.users), ("item", ITEMS))}
    changes = [Change(catalogue, ranker, {
        name: TableChange(0, each, StoredRows(random.normal(0, 0.05, (len(each), DIM)).astype(np.float32)))
        for name, each in rows.items()}, f"state {number}") for number in range(2)]
    return [list(delta_chunks(change, change, "", live)) for change in changes]


def candidates(catalogue: Catalogue, inputs: dict[str, Any], count: int) -> Raw:
    """Returns one user with candidates."""
    raw = impressions(catalogue, inputs, count)
    return {name: values[:1] if inputs[name].side in (USER, CONTEXT) else values for name, values in raw.items()}


def rank_requests(catalogue: Catalogue, inputs: dict[str, Any], chunks: list[Chunk], count: int, number: int
                  ) -> list[Raw]:
    """Returns `rank` requests of users whose rows change, for candidates of which half do."""
    users, items = (np.concatenate([chunk.inputs[f"ids_{name}"] for chunk in chunks]) for name in ("user", "item"))
    found, random = [], np.random.default_rng(4)
    for _ in range(number):
        raw = candidates(catalogue, inputs, count)
        half = random.choice(items, count - count // 2)
        found.append(raw | {"user_id": random.choice(users, 1),
                            "item_id": np.append(raw["item_id"][:count // 2], half)})
    return found


def serve(folder: Path) -> DevelopmentServer:
    """Returns a server of the live model."""
    config = ModelServerConfig()
    config.model_config_list.config.add(name=NAME, base_path=str(folder / "live"))
    return DevelopmentServer(ModelManager(config, lambda _: folder / "live"))


def measure_pushes(folder: Path, catalogue: Catalogue, saved: dict[str, Any], options: argparse.Namespace
                   ) -> dict[str, Any]:
    """Returns push times, and what requests received meanwhile."""
    deltas = make_chunks(catalogue, options.share, saved["live"])
    requests = rank_requests(catalogue, saved["inputs"], deltas[0], 20, PROBES)
    with serve(folder) as server, GrpcClient(server.grpc, Model(NAME), timeout=60) as client, memory_growth() as use:
        pusher, expected, quiet = Pusher(Sender(client, KEY, GRACE), deltas), [], []
        for _ in range(2):
            quiet.append(pusher.push())
            expected.append([client.predict(Predict(each, RANK))["score"].tobytes() for each in requests])
        quiet += [pusher.push() for _ in range(options.pushes)]
        busy = []
        with Readers(server.grpc, requests, list(zip(*expected, strict=True))) as readers:
            end = time.monotonic() + options.seconds
            while len(busy) < options.pushes or (readers.sent < options.requests and time.monotonic() < end):
                busy.append(pusher.push())
    assert all(one != other for one, other in zip(*expected, strict=True)), "the pushes change no answer"
    return {"push_seconds": float(np.median(quiet[2:])), "push_seconds_under_load": float(np.median(busy)),
            "slowest_push_under_load": max(busy), "pushes_under_load": len(busy), "requests": readers.sent,
            "failed": readers.failed, "other": readers.other, "push_growth": use.peak / saved["bytes"]}


def first_update(chunk: Chunk, token: str) -> Raw:
    """Returns the inputs of a chunk that leaves the version as it is."""
    strings = {"secret": KEY, "predecessor": token, "successor": token}
    return chunk.inputs | {name: np.array(value, object) for name, value in strings.items()} | {"settled": np.array(0)}


def compare_reads(folder: Path, catalogue: Catalogue, saved: dict[str, Any], share: float, rounds: int
                  ) -> dict[str, Any]:
    """Returns the latency of `rank` of both models."""
    raw = candidates(catalogue, saved["inputs"], 500)
    paths = {"static": "static", "again": "static", "live": "live", "pushed": "live"}
    with contextlib.ExitStack() as stack:
        models = {name: stack.enter_context(LoadedModel(folder / path / "1")) for name, path in paths.items()}
        for model in models.values():
            np.testing.assert_allclose(model.run(RANK, raw)["score"], models["static"].run(RANK, raw)["score"],
                                       rtol=0, atol=1e-6)

        def turn(model: LoadedModel, number: int) -> None:
            for _ in range(TURN):
                model.run(RANK, raw)

        for chunk in make_chunks(catalogue, share, saved["live"])[0]:
            models["pushed"].run(APPLY_DELTA, first_update(chunk, saved["live"]["token"]))
        seconds = interleaved_rounds({name: functools.partial(turn, model) for name, model in models.items()},
                                     rounds=rounds, clock=time.process_time)
    ratios = {name: np.divide(seconds[name], seconds["static"]) for name in ("live", "pushed", "again")}
    quartiles = {name: [float(np.quantile(each, q)) for q in (0.5, 0.25, 0.75)] for name, each in ratios.items()}
    return {"rank_live_over_static": quartiles["live"], "rank_pushed_over_static": quartiles["pushed"],
            "rank_static_again_over_static": quartiles["again"],
            "rank_static_ms": 1e3 * float(np.median(seconds["static"])) / TURN,
            "rank_live_ms": 1e3 * float(np.median(seconds["live"])) / TURN}


def load_growth(folder: Path) -> np.ndarray:
    """Returns the growth of the resident memory of a new process that loads a model, at the end and at most, bytes."""
    done = subprocess.run([sys.executable, __file__, "--load", str(folder)], check=True, text=True,
                          stdout=subprocess.PIPE)
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def load(folder: Path) -> list[int]:
    """Loads a model in this process and returns the growth of its resident memory, at the end and at most, bytes."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))  # exclude the start of TensorFlow
    with memory_growth() as use, LoadedModel(folder) as model:
        model.run("user_embedding", {"user_id": np.array([1])})
        gc.collect()
    return [use.last, use.peak]


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Returns all figures."""
    catalogue = Catalogue(options.rows)
    saved = save_models(catalogue, folder)
    gc.collect()
    print(f"tables {saved['bytes'] / 1e9:.2f} GB, spare places {saved['live']['spare_bytes'] / 1e9:.2f} GB", flush=True)
    growth = {name: load_growth(folder / name / "1") for name in ("static", "live")}
    return {"rows": options.rows, "share": options.share,
            "tables_bytes": saved["bytes"], "spare_over_tables": saved["live"]["spare_bytes"] / saved["bytes"],
            **{f"load_{name}_over_tables": (each / saved["bytes"]).tolist() for name, each in growth.items()},
            **compare_reads(folder, catalogue, saved, options.share, options.rounds),
            **measure_pushes(folder, catalogue, saved, options)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=4_000_000, help="users")
    parser.add_argument("--share", type=float, default=0.01, help="share of the users and items that a push changes")
    parser.add_argument("--requests", type=int, default=100_000, help="least number of concurrent requests")
    parser.add_argument("--pushes", type=int, default=8, help="least number of pushes, with and without other load")
    parser.add_argument("--seconds", type=float, default=360, help="longest time of the concurrent requests")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each model")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not THREADS.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **THREADS})
    if options.load:
        print(load(options.load))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, tensorflow {tf.__version__}; a push "
          f"changes {options.share:.1%} of {options.rows:,} users and of {ITEMS:,} items, dim {DIM}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options)
    for name, value in result.items():
        print(f"{name:30}" + "".join(f"{each:>16,.3f}" for each in (value if isinstance(value, list) else [value])))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
