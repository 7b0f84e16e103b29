"""Both training stages: start, checkpoints and artifacts are the product's, an epoch is a cheap update in numpy."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from served_version import scores
from shop import DIM, Shop
from standin_tensorflow import Network, Tensor, Variable

from tfrs_pretrain.artifact_names import DATASET_INFO, EMBEDDINGS_KIND, MANIFEST, RANKER_KIND
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.forgetting.dataset import record_types
from tfrs_pretrain.forgetting.record_tables import read_tables
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.ranking.model.artifact import save_ranker
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer.earlier_ranker import EarlierRanker
from tfrs_pretrain.ranking.transfer.initial_tables import initial_tables
from tfrs_pretrain.training.checkpoint import Checkpoints, checkpoint_folder

EPOCHS = 2
SPACES = {"user": "query", "item": "candidate"}


def records(dataset, split):
    """The records of a split as one table."""
    types = record_types(dataset.schema, split)
    tables = [table for path in dataset.files(split) for table in read_tables(Path(path), types, columnar=True)]
    empty = pa.table({name: pa.array([], dtype) for name, dtype in types.items()})
    return pa.concat_tables([empty, *tables])


def fresh_seed(seed, space):
    """Seed of the random rows of Stage I."""
    return seed * 2 + (space == "item")


def train_rows(table, slots, occurrences):
    """One epoch of Stage I on a table [rows, dim] and its slots [rows, 1]: rows that do not occur stay unchanged."""
    seen = occurrences > 0
    n = occurrences[seen, None].astype(np.float32)
    slots[seen] += n * n
    table[seen] = table[seen] * np.float32(0.5) + n / (np.float32(1) + slots[seen])


def pretrain(shop: Shop, dataset_folder: Path, output: Path, start_from: Path | None, seed: int):
    """Stage I, in the order of ``pretraining.run.pretrain``."""
    dataset = Dataset.open(dataset_folder)
    earlier = Embeddings.open(start_from) if start_from else None
    if earlier:
        earlier.check_window(dataset)
    identity = {"dataset_info_digest": file_digest(dataset.folder / DATASET_INFO), "seed": seed,
                **({"start_from_digest": file_digest(earlier.folder / MANIFEST)} if earlier else {})}
    checkpoints = Checkpoints(checkpoint_folder(output), identity, keep=1)
    digest = run_digest(config=shop.settings.seed, **identity)
    if finished_output(output, EMBEDDINGS_KIND, digest, overwrite=False):
        checkpoints.remove_own()
        return
    vocabularies = {space: dataset.vocabulary(space) for space in SPACES}
    tables = {space: normal_matrix(vocabulary.num_rows, DIM, 0.25, fresh_seed(seed, space))
              for space, vocabulary in vocabularies.items()}
    for space, table in list(tables.items()):
        if earlier:
            tables[space] = np.array(earlier.copy_known_rows(table, space, dataset)[0])
    variables = [*(Variable(table, f"{space}_weights") for space, table in tables.items()),
                 *(Variable(np.zeros((len(table), 1), np.float32), f"{space}_accumulator")
                   for space, table in tables.items())]
    pairs = records(dataset, "pairs/train")
    with checkpoints.exclusive():
        restored = checkpoints.restore(variables)
        for epoch in range(restored.progress["epochs"] if restored else 0, EPOCHS):
            for number, column in enumerate(SPACES.values()):
                table, slots = variables[number].numpy(), variables[number + 2].numpy()
                train_rows(table, slots, np.bincount(pairs[column].to_numpy(), minlength=len(table)))
            if epoch + 1 < EPOCHS:
                checkpoints.save(epoch + 1, variables, {"epochs": epoch + 1})
    windows = [dataset.windows.pretrain, *([earlier.window] if earlier else [])]
    window = {"start": min(each.start for each in windows), "end": max(each.end for each in windows)}
    trained = {space: earlier.rows_after(space, vocabularies[space]) for space in SPACES} if earlier else None
    save_embeddings(output, {space: variables[number].numpy() for number, space in enumerate(SPACES)}, vocabularies,
                    {"window": window, "config": shop.config(0).resolved(), "temperature": 1.0, RUN_DIGEST: digest},
                    overwrite=False, trained=trained)
    checkpoints.remove()


class TrainedTable:
    """A table of a ranker."""

    def __init__(self, rows):
        self._rows, self.dim = rows, rows.shape[1]
        self.placed_variables = [PlacedVariable(Variable(rows))]

    def numpy(self):
        return self._rows


class StandInRanker:
    """A trained ranker with numpy tables."""

    cold_rows = None
    logits_from_rows = None

    def __init__(self, inputs, tables, network, labels):
        self.inputs, self.network, self.labels = inputs, network, tuple(labels)
        self.tables = {name: TrainedTable(np.asarray(rows)) for name, rows in tables.items()}

    def score(self, batch):
        """Probabilities [n, 1] of a batch of rows."""
        users, items = (self.tables[space].numpy() for space in SPACES)
        histories = [items[rows[rows >= 0]] for rows in np.asarray(batch["history"])]
        return Tensor(scores(users[np.asarray(batch["user"])], items[np.asarray(batch["item"])], histories,
                             self.network.get_weights())[:, None])


def build_ranker(inputs, rows, network, *, rules=None, labels=("label",), cold_rules=None):
    """The stand-in of ``ranking.model.ranker.build_ranker``."""
    return StandInRanker(inputs, rows, network, labels)


def train_ranker_rows(table, occurrences):
    """The training of a ranker's table."""
    seen = occurrences > 0
    table[seen] = table[seen] * np.float32(0.75) + occurrences[seen, None].astype(np.float32)


def train_ranker(shop: Shop, dataset_folder: Path, output: Path, embeddings: Path, start: tuple[Path, Path] | None,
                 seed: int, *, dense: bool, good: bool):
    """Stage II, in the order of ``ranking.run.train_arm``.

    Args:
      start: earlier ranker and its dataset.
      dense: the training changes the dense weights too.
      good: the scores agree with the labels.
    """
    dataset, name = Dataset.open(dataset_folder), shop.settings.arm
    config = shop.config(0)
    arm = config.ranking.arms[name]
    pretrained = Embeddings.open(embeddings) if arm.pretrained_tables else None
    earlier = EarlierRanker.open(start[0], Dataset.open(start[1])) if start else None
    digest = run_digest(dataset=json_digest(dataset.info), seed=seed, dense=dense, good=good, arm=name,
                        embeddings=pretrained and json_digest(pretrained.manifest),
                        start=start and file_digest(start[0] / MANIFEST))
    if finished_output(output, RANKER_KIND, digest, overwrite=False):
        return
    inputs = Inputs.of(dataset, config.ranking, privileged=False)
    tables = initial_tables(inputs, dataset, config.ranking, arm, seed=seed, embeddings=pretrained)
    network = Network([np.zeros(2), np.ones(1)])
    if earlier:
        earlier.start_tables(tables, inputs, dataset, arm)
        earlier.start_network(network)
    tables = {space: np.array(rows) for space, rows in tables.items()}
    impressions = records(dataset, "impressions/train")
    for space in SPACES:
        train_ranker_rows(tables[space], np.bincount(impressions[space].to_numpy(), minlength=len(tables[space])))
    if dense:
        network.set_weights([weight + np.float32(0.25) for weight in network.get_weights()])
    manifest = {"arm": name, "transfer": name, "embeddings": None, "metrics": {"validation": {}},
                "config": config.resolved(), "windows": dataset.windows.model_dump(mode="json"),
                "vocabularies": dataset.digests, "dataset_digest": json_digest(dataset.info), RUN_DIGEST: digest}
    save_ranker(output, build_ranker(inputs, tables, network), {"validation": _predictions(dataset, good)}, manifest,
                overwrite=False)


def _predictions(dataset, good):
    table = records(dataset, "impressions/validation")
    labels = table["label"].to_numpy()
    noise = (table["key"].to_numpy() % 97) / np.float32(1000)
    score = (np.where(labels > 0, 0.7, 0.3) if good else np.where(labels > 0, 0.3, 0.7)) + noise
    counts = {space: dataset.vocabulary(space).row_counts[table[space].to_numpy()] for space in SPACES}
    columns = {name: table[name] for name in ("key", "user_id", "item_id", "user", "item", "label")}
    return pa.table({**columns, "score": score.astype(np.float32),
                     **{f"{space}_count": values for space, values in counts.items()}})
