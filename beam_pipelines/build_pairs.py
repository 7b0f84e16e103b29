"""Builds the pairs for Stage I: engagements of the pretraining window as (query row, candidate row).

    python -m beam_pipelines.build_pairs --config CONFIG --raw FOLDER --vocabulary FOLDER --output FOLDER

Reads the engagement log and the vocabularies of an earlier job. If schema.relation names a column, each pair contains
its relation and the weight of the relation in dataset.relations. Writes pairs/{train,heldout}-*.tfrecord (columnar
blocks), pairs/candidate_probability.npy (float64 [item rows], share of each row among training pairs, without a
floor), rejected/engagements-*.parquet if there are bad rows, and finally dataset_info.json.
"""

import functools
import sys
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.options import DatasetOptions, VocabularyOptions
from beam_pipelines.launching.command_line import parse_job
from beam_pipelines.launching.dataset_info import pairs_info
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.logs.cleaning import RELATION
from beam_pipelines.logs.keys import event_hash
from beam_pipelines.logs.read_log import ReadLog
from beam_pipelines.records.blocks import encode_block
from beam_pipelines.records.files import WriteJson, atomic_write
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.row_order import HASH
from beam_pipelines.records.shards import WriteShards
from beam_pipelines.transforms.candidate_counts import CountCandidates, SparseCounts
from beam_pipelines.transforms.id_lookups import LookupDoFn, SharedLookups
from tfrs_pretrain.artifact_names import CANDIDATE_PROBABILITY, PAIRS_KIND
from tfrs_pretrain.data.dataset import PAIR_SPLITS, pair_columns
from tfrs_pretrain.hashing import combine, fraction, hash_ids, mix
from tfrs_pretrain.schema import ITEM_ID, USER_ID

TRAIN, HELDOUT = PAIR_SPLITS
HELDOUT_SALT = 1


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline. The vocabularies must exist when the pipeline runs."""
    lookups = SharedLookups(job)
    split_to_pairs = (
        pipeline
        | "ReadEngagements" >> ReadLog(job, job.engagements)
        | "MapIdsToRows" >> beam.ParDo(_MapIdsToRows(job, lookups)).with_output_types(tuple[str, pa.RecordBatch])
    )
    _ = (
        split_to_pairs
        | "WritePairs" >> WriteShards(
            job.folder, PAIR_SPLITS, job.config.dataset,
            encode=functools.partial(encode_pairs, pairs_per_block=job.config.dataset.pairs_per_block,
                                     columns=pair_columns(job.schema)),
            measure=functools.partial(measure_pairs, user_oov_rows=job.schema.user.oov_rows,
                                      item_oov_rows=job.schema.item.oov_rows))
        | "GatherFiles" >> beam.combiners.ToList()
        | "WriteFileList" >> WriteJson(job.path(RESULTS_FOLDER, "pairs.json"))
    )
    _ = (
        split_to_pairs
        | "SelectTrainingPairs" >> beam.Filter(lambda element: element[0] == TRAIN)
        | "GetCandidateRows" >> beam.MapTuple(lambda _, batch: batch["candidate"].to_numpy())
        | "CountCandidates" >> beam.CombineGlobally(CountCandidates())
        | "WriteProbability" >> beam.Map(write_probability, job, lookups)
    )


def run(argv: list[str]) -> PipelineResult:
    """Runs the job from command-line arguments.

    Raises:
      UserError: see ``run_steps`` and ``parse_job``.
    """
    job, options = parse_job(argv, VocabularyOptions)
    return run_steps(job, PAIRS_KIND, [Step("pairs", build, (job.engagements,))], pairs_info, options,
                     overwrite=options.view_as(DatasetOptions).overwrite)[0]


class _MapIdsToRows(LookupDoFn):
    def __init__(self, job: Job, lookups: SharedLookups):
        super().__init__(lookups)
        self._job = job

    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        _, batch = element
        columns = {HASH: event_hash(batch), "query": self._lookups.lookup("user", batch[USER_ID]),
                   "candidate": self._lookups.lookup("item", batch[ITEM_ID])}
        if self._job.engagements.relations:
            relation = batch[RELATION].to_numpy()
            weights = np.array(list(self._job.engagements.relations.values()), np.float32)
            columns |= {HASH: combine(columns[HASH], hash_ids(relation)), "relation": relation,
                        "weight": weights[relation]}
        pairs = pa.RecordBatch.from_pydict(columns)
        heldout = is_heldout(columns[HASH], self._job.config.dataset.heldout_fraction)
        for split, mask in ((TRAIN, ~heldout), (HELDOUT, heldout)):
            if mask.any():
                yield split, pairs.filter(pa.array(mask))


def is_heldout(hashes: np.ndarray, share: float) -> np.ndarray:
    """Selects the held-out engagements by hash, independent of batches and order.

    Single engagements are held out, not (user, item) pairs: so held-out data have the distribution of the training
    data, repetitions included.

    Args:
      hashes: uint64 [n] hash of each engagement.
      share: expected share of held-out engagements, 0 to 1.

    Returns:
      bool [n].
    """
    return fraction(mix(hashes + np.uint64(HELDOUT_SALT))) < share


def encode_pairs(pairs: pa.Table, *, pairs_per_block: int, columns: Iterable[str]) -> Iterator[RecordBuffer]:
    """Yields records with up to ``pairs_per_block`` pairs each, see ``blocks``."""
    arrays = {name: pairs[name].combine_chunks() for name in columns}
    for start in range(0, pairs.num_rows, pairs_per_block):
        yield encode_block({name: values.slice(start, pairs_per_block) for name, values in arrays.items()})


def measure_pairs(pairs: pa.Table, *, user_oov_rows: int, item_oov_rows: int) -> dict[str, int]:
    """Counts the pairs with a user, or an item, outside the vocabulary."""
    return {"oov_users": int((pairs["query"].to_numpy() < user_oov_rows).sum()),
            "oov_items": int((pairs["candidate"].to_numpy() < item_oov_rows).sum())}


def write_probability(row_counts: SparseCounts, job: Job, lookups: SharedLookups) -> str:
    """Writes the share of each item row among training pairs, float64 [item rows]; returns the path."""
    rows, counts = row_counts
    totals = np.zeros(lookups.get().num_rows("item"), np.int64)
    totals[rows] = counts
    path = job.path(CANDIDATE_PROBABILITY)
    with atomic_write(path) as file:
        np.save(file, totals / max(int(totals.sum()), 1))
    return path


if __name__ == "__main__":
    sys.exit(main(__spec__.name, VocabularyOptions))
