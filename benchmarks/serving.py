"""Measures speed and memory of a served ranker: one `rank` request against a request with a row per candidate.

    python benchmarks/serving.py [--json FILE] [--rows 4000000] [--candidates 500] [--rounds 40]

An untrained model of typical size (speed does not depend on the weights): 4M users and 100k items of dim 64, a history
of 50 items pooled by mean, four features of the user, three of the context, six of the item, layers 128 and 64. It is
exported with its warm-up requests and loaded by TensorFlow Serving's session loader. Contenders take turns of 20
requests. Latencies are those of sequential requests. Throughput is measured with one client per core, so a signature
gains nothing by spreading one request over idle cores. Sessions have the threads of saved_models/compose.yaml, one per
request.

    rank_over_examples     throughput of `rank` with 500 candidates / that of 500 tf.Examples to `predict_examples`
    rank_over_tensors      the same / feature tensors that repeat the user for each candidate
    warm_first_over_p99    first request after load and warm-up / 99th percentile of the following requests
    load_memory_over_table memory growth of a new process while it loads the model / size of the tables
    ..._one_by_one         the ratios of rank by median latency
    ..._default_threads    the ratios of rank with TensorFlow's default number of threads per request

Times are those of `Session.run` on decoded tensors; the same contenders over gRPC, with a Python server, are also
printed. Memory is the largest growth while the model loads, including lookups of 4.1M ids.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import gc
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import yaml

from tfrs_pretrain.artifact_names import EXTRA_ASSETS
from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.features.raw_input import CONTEXT, USER, RawInput
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict
from tfrs_pretrain.serving.exporting.memory import memory_growth
from tfrs_pretrain.serving.exporting.prediction_logs import serialize_examples, write_prediction_logs
from tfrs_pretrain.serving.exporting.warmup import warmup_logs
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import save
from tfrs_pretrain.serving.protocol.messages import ModelServerConfig
from tfrs_pretrain.serving.protocol.signature_names import PREDICT_EXAMPLES, RANK, SERIALIZED_EXAMPLES, SERVING_DEFAULT
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.inference import replay
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS
from tfrs_pretrain.serving.server.run import DevelopmentServer
from tfrs_pretrain.serving.session import LoadedModel
from tfrs_pretrain.serving.version_folder import WARMUP
from tfrs_pretrain.vocabulary import Vocabulary

NAME, REQUESTS, ITEMS, DIM, FEATURE_DIM, HISTORY, VALUES = "ranker", "requests.pickle", 100_000, 64, 16, 50, 1000
FEATURES = {"users": ("country", "language", "age", "tier"), "impressions": ("surface", "device", "hour"),
            "items": ("category", "brand", "seller", "condition", "color", "price")}
TURN, LOADS, STEADY = 20, 5, 300
COMPOSE = Path(__file__).parents[1] / "saved_models" / "compose.yaml"

Raw = dict[str, np.ndarray]


@dataclasses.dataclass
class Catalogue:
    """The parts of a dataset that a served model needs: schema, vocabularies, statistics."""

    users: int
    schema: Schema = dataclasses.field(default_factory=lambda: Schema.model_validate({
        "user": {"column": "user_id"}, "item": {"column": "item_id"}, "time": "time", "window": "time",
        "label": "clicked", "history": {"length": HISTORY}, "features": [
            {"name": name, "source": source, **({"kind": "numeric", "dtype": "float32"} if name == "price"
                                                else {"kind": "categorical", "dtype": "string"})}
            for source, names in FEATURES.items() for name in names]}))

    @functools.cache  # noqa: B019  (one catalogue lives as long as the program)
    def vocabulary(self, name: str) -> Vocabulary:
        if name in ("user", "item"):
            count = self.users if name == "user" else ITEMS
            ids = pa.array(np.random.default_rng(count).permutation(3 * count)[:count])
        else:
            ids = pa.array([f"{name} {value}" for value in range(VALUES)])
        return Vocabulary(ids, np.ones(len(ids), np.int64), 1)

    @property
    def digests(self) -> dict[str, str]:
        return {name: self.vocabulary(name).digest for name in self.schema.vocabularies}

    @property
    def moments(self) -> dict[str, dict[str, float]]:
        return {"price": {"mean": 10.0, "std": 5.0}}

    def __hash__(self) -> int:
        return self.users


def write_model(catalogue: Catalogue, folder: Path) -> tuple[dict[str, RawInput], int]:
    """Exports the model with its warm-up requests; returns its inputs and the bytes of its tables."""
    inputs = Inputs.of(catalogue, RankingConfig.model_construct(history="mean", similarity=("dot",)), privileged=False)
    rows = {name: normal_matrix(catalogue.vocabulary(vocabulary).num_rows,
                              DIM if name in ("user", "item") else FEATURE_DIM, 0.05, seed)
            for seed, (name, vocabulary) in enumerate(inputs.tables.items())}
    ranker = build_ranker(inputs, rows, RankingNetwork(Mlp((128, 64), 1), 1))
    size = sum(table.nbytes for table in rows.values())
    with tempfile.TemporaryDirectory() as assets:
        contents = save(ServedRanker(ranker, catalogue, Path(assets)), folder)
    (folder / EXTRA_ASSETS).mkdir()
    warmup = warmup_logs(NAME, impressions(catalogue, contents.inputs, 32), contents.inputs)
    write_prediction_logs(folder / EXTRA_ASSETS / WARMUP, warmup)
    return contents.inputs, size


def impressions(catalogue: Catalogue, inputs: dict[str, RawInput], count: int) -> Raw:
    """Returns raw values [count] and lists [count, length] of known ids."""
    random = np.random.default_rng(count)

    def values(name: str, of: RawInput) -> np.ndarray:
        shape = (count, of.length) if of.length else count
        if of.dtype == "float32":
            return random.gamma(2.0, 5.0, shape).astype(np.float32)
        space = {"user_id": "user", "item_id": "item", "history": "item"}.get(name, name)
        return random.choice(catalogue.vocabulary(space).known_ids.to_numpy(zero_copy_only=False), shape)

    return {name: values(name, of) for name, of in inputs.items()}


def requests(raw: Raw, inputs: dict[str, RawInput]) -> dict[str, tuple[str, Raw]]:
    """Returns the same user and candidates in the form of each signature: contender -> (signature, inputs)."""
    count = len(raw["item_id"])
    once = {name: values[:1] if inputs[name].side in (USER, CONTEXT) else values for name, values in raw.items()}
    repeated = {name: np.repeat(values, count, axis=0) if len(values) == 1 else values for name, values in once.items()}
    return {"rank": (RANK, once), "tensors": (SERVING_DEFAULT, repeated),
            "examples": (PREDICT_EXAMPLES, {SERIALIZED_EXAMPLES: serialize_examples(repeated, inputs)})}


def compare(ask: Callable[[str, Raw], Raw], asked: dict[str, tuple[str, Raw]], rounds: int) -> dict[str, np.ndarray]:
    """Times each contender, seconds [turns, requests], and checks that the scores agree."""
    answers = {name: ask(*request)["score"] for name, request in asked.items()}
    for name, scores in answers.items():
        np.testing.assert_allclose(scores, answers["rank"], rtol=0, atol=1e-5, err_msg=name)
    names, seconds = list(asked), {name: np.zeros((rounds + 2, TURN)) for name in asked}
    for number in range(rounds + 2):
        for name in names[number % len(names):] + names[:number % len(names)]:
            for request in range(TURN):
                start = time.perf_counter()
                ask(*asked[name])
                seconds[name][number, request] = time.perf_counter() - start
    return {name: each[2:] for name, each in seconds.items()}


def saturate(ask: Callable[[str, Raw], Raw], asked: dict[str, tuple[str, Raw]], rounds: int) -> dict[str, float]:
    """Returns each contender's median requests per second with one client per core, in turns."""
    clients, names = os.cpu_count() or 1, list(asked)
    rates: dict[str, list[float]] = {name: [] for name in names}
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for number in range(rounds + 2):
            for name in names[number % len(names):] + names[:number % len(names)]:
                start = time.perf_counter()
                for _ in pool.map(lambda _, request=asked[name]: ask(*request), range(TURN * clients)):
                    pass
                rates[name].append(TURN * clients / (time.perf_counter() - start))
    return {name: float(np.median(each[2:])) for name, each in rates.items()}


def over_grpc(folder: Path, asked: dict[str, tuple[str, Raw]], rounds: int) -> dict[str, np.ndarray]:
    """Times the contenders through a server, including messages."""
    config = ModelServerConfig()
    config.model_config_list.config.add(name=NAME, base_path=str(folder.parent))
    with DevelopmentServer(ModelManager(config, lambda _: folder.parent)) as server, GrpcClient(
            server.grpc, Model(NAME), timeout=60) as client:
        return compare(lambda signature, raw: client.predict(Predict(raw, signature)), asked, rounds)


def warm_first(folder: Path, asked: tuple[str, Raw]) -> list[float]:
    """Returns the first request after load and warm-up over the p99 of the next ones, for several loads."""
    ratios = []
    for _ in range(LOADS):
        model = CheckedModel(folder, DEFAULT_LIMITS)
        for log in read_prediction_logs(folder / EXTRA_ASSETS / WARMUP):
            replay(model, log)
        seconds = []
        for _ in range(1 + STEADY):
            start = time.perf_counter()
            model.run(*asked)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / float(np.percentile(seconds[1:], 99)))
        model.close()
        gc.collect()
    return ratios


def in_a_fresh_process(what: str, *arguments: object, threads: dict[str, str] | None = None) -> dict[str, Any]:
    """Runs one part in a new process and returns its last line; TensorFlow fixes its threads at start."""
    done = subprocess.run([sys.executable, __file__, what, *map(str, arguments)], check=True, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, **(threads or {})})
    *printed, last = done.stdout.splitlines()
    for line in printed:
        print(line, flush=True)
    found: dict[str, Any] = json.loads(last)
    return found


def _load(folder: Path) -> dict[str, float]:
    """Returns the memory growth of this process by a load, in bytes, and the seconds of the load."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))  # exclude the start of TensorFlow
    start = time.perf_counter()
    with memory_growth() as use:
        model = LoadedModel(folder)
        seconds = time.perf_counter() - start
        model.run("user_embedding", {"user_id": np.array([1])})
    return {"seconds": seconds, "peak": use.peak, "last": use.last}


def _contend(folder: Path, rounds: int) -> dict[str, float]:
    """Returns the ratios of `rank` to the other contenders, and its latency."""
    asked, count = pickle.loads((folder.parent / REQUESTS).read_bytes())
    with LoadedModel(folder) as model:
        seconds, rates = compare(model.run, asked, rounds), saturate(model.run, asked, rounds)
    _show("session", seconds, count)
    print(f"session, {os.cpu_count()} clients at once: " + " · ".join(
        f"{name} {rate * count:,.0f} candidates/s" for name, rate in rates.items()))
    return {**{f"rank_over_{name}": rates["rank"] / rates[name] for name in ("examples", "tensors")},
            **{f"{name}_one_by_one": value for name, value in _ratios(seconds).items()},
            "rank_p50_ms": 1e3 * float(np.median(seconds["rank"])),
            "rank_p99_ms": 1e3 * float(np.percentile(seconds["rank"], 99))}


def _serve(folder: Path, rounds: int) -> dict[str, float]:
    """Returns the same through a server, and the first request after warm-up."""
    asked, count = pickle.loads((folder.parent / REQUESTS).read_bytes())
    seconds = over_grpc(folder, asked, max(rounds // 4, 3))
    _show("gRPC   ", seconds, count)
    first = warm_first(folder, asked["rank"])
    print("first request after warm-up over p99: " + ", ".join(f"{each:.2f}" for each in first))
    return {"warm_first_over_p99": statistics.median(first),
            **{f"{name}_over_grpc": value for name, value in _ratios(seconds).items()}}


def _show(what: str, seconds: dict[str, np.ndarray], count: int) -> None:
    for name, each in seconds.items():
        print(f"{what} {name:9} p50 {1e3 * np.median(each):6.2f} ms · p99 {1e3 * np.percentile(each, 99):6.2f} ms · "
              f"{count / np.median(each):,.0f} candidates/s one by one")


def _ratios(seconds: dict[str, np.ndarray]) -> dict[str, float]:
    return {f"rank_over_{name}": float(np.median(seconds[name]) / np.median(seconds["rank"]))
            for name in ("examples", "tensors")}


def measure(folder: Path, users: int, count: int, rounds: int) -> dict[str, Any]:
    """Returns all ratios of one model."""
    catalogue = Catalogue(users)
    inputs, size = write_model(catalogue, folder)
    (folder.parent / REQUESTS).write_bytes(
        pickle.dumps((requests(impressions(catalogue, inputs, count), inputs), count)))
    del catalogue
    gc.collect()
    memory = in_a_fresh_process("--load", folder)
    print(f"tables of {size / 1e9:.2f} GB ({users:,} users, {ITEMS:,} items, dim {DIM}) load in "
          f"{memory['seconds']:.1f} s; memory {memory['last'] / size:.2f}x, at most {memory['peak'] / size:.2f}x")
    threads = next(iter(yaml.safe_load(COMPOSE.read_text())["services"].values()))["environment"]
    print("threads as TensorFlow likes")
    default = in_a_fresh_process("--contend", folder, "--rounds", rounds)
    print(", ".join(f"{name}={value}" for name, value in threads.items()))
    shipped = in_a_fresh_process("--contend", folder, "--rounds", rounds, threads=threads)
    served = in_a_fresh_process("--serve", folder, "--rounds", rounds, threads=threads)
    return {**shipped, "load_memory_over_table": memory["peak"] / size, **served,
            **{f"{name}_default_threads": default[name] for name in ("rank_over_examples", "rank_over_tensors")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the ratios here")
    parser.add_argument("--rows", type=int, default=4_000_000, help="users")
    parser.add_argument("--candidates", type=int, default=500, help="candidates per request")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each contender")
    for part in ("--load", "--contend", "--serve"):
        parser.add_argument(part, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load or options.contend or options.serve:
        print(json.dumps(_load(options.load) if options.load else
                         _contend(options.contend, options.rounds) if options.contend else
                         _serve(options.serve, options.rounds)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, tensorflow {tf.__version__}; "
          f"{options.candidates} candidates a request, {options.rounds} turns of {TURN} requests", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder) / NAME / "1", options.rows, options.candidates, options.rounds)
    for name, value in result.items():
        print(f"{name:32}{value:>10.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
