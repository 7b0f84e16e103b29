"""One flipped bit in a file of an artifact, then a reader of that artifact.

The trial holds if the reader refuses in one line that names the file, or if its result is the same as before: then the
bit meant nothing, such as one of the padding in a compressed file.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
from outcomes import Outcomes

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, GOLDEN_IMPRESSIONS, LOGS_KIND
from tfrs_pretrain.artifacts import check_artifact, read_optional_json
from tfrs_pretrain.config import EarlyStoppingConfig
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, PAIR_SPLITS, Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches
from tfrs_pretrain.data.pairs import pair_blocks, report_corrupt_files
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.ranking.learning.best_checkpoint import BestCheckpoint
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.results.diagnosis import read_diagnosis
from tfrs_pretrain.retrieval.artifact import ItemIndex
from tfrs_pretrain.serving.protocol.messages import ModelConfig
from tfrs_pretrain.serving.server.model_versions import ModelVersions
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS
from tfrs_pretrain.serving.verification.golden_replay import read_golden_requests
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, read_version
from tfrs_pretrain.study import Study
from tfrs_pretrain.training.checkpoint import Checkpoints

FAULT = "flipped bit"


class Kind(NamedTuple):
    """A kind of artifact: its files, and a reader that returns all that it has read."""

    name: str
    files: tuple[Path, ...]
    read: Callable[[], object]


class Flip(NamedTuple):
    """A bit of a file."""

    path: Path
    byte: int
    bit: int


@contextlib.contextmanager
def flipped(flip: Flip) -> Iterator[None]:
    """Flips a bit while the body runs."""
    content = flip.path.read_bytes()
    damaged = bytearray(content)
    damaged[flip.byte] ^= 1 << flip.bit
    flip.path.write_bytes(damaged)
    try:
        yield
    finally:
        flip.path.write_bytes(content)


def draw(kinds: list[Kind], count: int, seed: int) -> list[tuple[Kind, Flip]]:
    """Draws flips: the kinds in turn, and in each the file, the byte and the bit at random."""
    random = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        path = kind.files[random.integers(len(kind.files))]
        drawn.append((kind, Flip(path, int(random.integers(path.stat().st_size)), int(random.integers(8)))))
    return drawn


def attempt(kind: Kind, flip: Flip, expected: str, outcomes: Outcomes) -> None:
    """Reads an artifact with a flipped bit and records the outcome."""
    case = f"{kind.name}: {flip.path.name} byte {flip.byte} bit {flip.bit}"
    fault = f"{FAULT}, {kind.name}"
    try:
        with flipped(flip):
            found = summary(kind.read())
    except UserError as error:
        if flip.path.name in str(error) and "\n" not in str(error):
            outcomes.held(fault)
        else:
            outcomes.lost(fault, case, f"the message does not name the file: {error}")
    except Exception as error:  # any traceback is an outcome
        outcomes.lost(fault, case, f"{type(error).__name__}: {error}")
    else:
        if found == expected:
            outcomes.held(fault)
        else:
            outcomes.silent(fault, case, "other content was read")


def summary(content: object) -> str:
    """Returns a digest of what a reader returned: nested lists and dicts of arrays, numbers and text."""
    state = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, dict):
            for key in value:
                state.update(str(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for entry in value:
                add(entry)
        elif isinstance(value, np.ndarray) and value.dtype != object:
            state.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            state.update(repr(value).encode())

    add(content)
    return state.hexdigest()


def read_dataset(folder: Path) -> object:
    """Reads every file of a dataset."""
    dataset = Dataset.open(folder)
    vocabularies = [dataset.vocabulary(name) for name in dataset.digests]
    content = [[(each.ids.to_pylist(), each.counts, each.lookup(each.known_ids)) for each in vocabularies],
               dataset.candidate_probability,
               pq.read_table(dataset.checked_file(GOLDEN_IMPRESSIONS)).to_pydict(), dataset.info["numeric"]]
    for split in IMPRESSION_SPLITS:
        with checked_reading(dataset, split):
            content += list(evaluation_batches(dataset, split, batch_size=4096).as_numpy_iterator())
    for split in PAIR_SPLITS:
        with report_corrupt_files(dataset.files(split)):
            content += list(pair_blocks(dataset.files(split)).as_numpy_iterator())
    return content


def read_embeddings(folder: Path) -> object:
    """Reads the tables and vocabularies of an embeddings artifact."""
    embeddings = Embeddings.open(folder)
    vocabularies = {name: embeddings.vocabulary(name) for name in embeddings.tables}
    return [(np.array(embeddings.matrix(name)), each.ids.to_pylist(), each.counts, str(embeddings.window))
            for name, each in vocabularies.items()]


def read_ranker(folder: Path, dataset: Dataset) -> object:
    """Reads the model and the predictions of a ranker."""
    ranker = load_ranker(folder, dataset)
    predictions = [Predictions.open(folder, split) for split in ("validation", "test")]
    return [[table.numpy() for table in ranker.tables.values()], ranker.network.get_weights(),
            [(each.source, each.table.to_pydict()) for each in predictions]]


def read_best(folder: Path, ranker_folder: Path, dataset: Dataset) -> object:
    """Reads the stored weights of the best epoch."""
    ranker = load_ranker(ranker_folder, dataset)
    best = BestCheckpoint(folder, ranker, EarlyStoppingConfig())
    best.state[0].assign(1)
    best.restore()
    return [[table.numpy() for table in ranker.tables.values()], ranker.network.get_weights()]


def write_checkpoints(folder: Path) -> tuple[Path, ...]:
    """Writes two checkpoints and returns the files of the newer one."""
    rows = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    checkpoints = Checkpoints(folder, {"seed": 3, "config": {"dim": 8}}, keep=2)
    for step in (5, 10):
        variables = [tf.Variable(rows * step, name="rows"), tf.Variable(step, dtype=tf.int64, name="step")]
        checkpoints.save(step, variables, {"epochs": [{"epoch": 1, "loss": 0.25 * step}], "seconds": 1.5})
    return tuple(sorted((folder / "step-000000010").iterdir()))


def read_checkpoints(folder: Path) -> object:
    """Restores the newest checkpoint.

    Raises:
      UserError: it is damaged; the run continues from the one before, with this message.
    """
    variables = [tf.Variable(tf.zeros([50, 8]), name="rows"), tf.Variable(0, dtype=tf.int64, name="step")]
    checkpoints = Checkpoints(folder, {"seed": 3, "config": {"dim": 8}}, keep=2, writes=False)
    restored = checkpoints.restore(variables)
    if checkpoints.damaged:
        assert restored is not None
        assert restored.step == 5
        np.testing.assert_array_equal(variables[1].numpy(), 5)
        raise UserError(" ".join(checkpoints.damaged).replace("its manifest", "manifest.json"))
    assert restored is not None
    return [restored.step, restored.progress, [variable.numpy() for variable in variables]]


def read_index(folder: Path) -> object:
    """Reads an item index and searches it."""
    index, vocabulary = ItemIndex.open(folder), ItemIndex.open(folder).vocabulary()
    loaded = {name: index.load(name) for name in index.names}
    queries = np.random.default_rng(0).normal(size=(20, loaded["exact"].d)).astype(np.float32)
    return [index.manifest["dim"], vocabulary.ids.to_pylist(), vocabulary.counts,
            [each.search(queries, 10) for each in loaded.values()]]


def read_exported(folder: Path) -> object:
    """Reads an exported version as ``verify-server`` and ``promote`` do."""
    manifest = read_version(folder)
    golden = read_golden_requests(folder / EXTRA_ASSETS / GOLDEN_LOGS)
    return [manifest["check"]["tolerance"], [(each.signature, each.outputs) for each in golden]]


def serve(folder: Path) -> object:
    """Loads a version as the development server does.

    Raises:
      UserError: it does not load.
    """
    config = ModelConfig(name=folder.parent.name, base_path=str(folder.parent))
    versions = ModelVersions(config, folder.parent, DEFAULT_LIMITS)
    try:
        versions.update()
        [state] = versions.states()
        if state.error:
            raise UserError(state.error.message)
        return versions.available
    finally:
        versions.close()


def read_logs(folder: Path) -> object:
    """Reads generated logs."""
    check_artifact(folder, LOGS_KIND)
    return [pq.read_table(path).to_pydict() for path in sorted(folder.glob("*.parquet"))]


def files_of(folder: Path) -> tuple[Path, ...]:
    """All files below a folder."""
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def document_kinds(folder: Path, study: Study) -> list[Kind]:
    """Kinds of the JSON files that one command leaves for the next in a working folder."""
    return [Kind("study", (study.folder / "study.json",), lambda: vars(Study.open(study.folder))),
            Kind("diagnosis", (folder / "diagnosis.json",), lambda: read_diagnosis(folder)),
            *(Kind(name, (folder / name,), lambda name=name: read_optional_json(folder / name))
              for name in ("stages.json", "costs.json", "test_evaluations.json"))]
