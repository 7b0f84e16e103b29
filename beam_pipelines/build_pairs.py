"""Job: engagements of the pretraining window as (query row, candidate row) pairs in columnar blocks, for Stage I.

    python -m beam_pipelines.build_pairs --config CONFIG --raw FOLDER --vocabulary FOLDER --output FOLDER

Reads the engagement log and the vocabularies of an earlier job. Where schema.relation names a column, each pair
carries its relation and the weight that dataset.relations gives it. Writes pairs/{train,heldout}-*.tfrecord,
pairs/candidate_probability.npy (float64 [item rows], share of each row among training pairs, without a floor),
rejected/engagements-*.parquet where rows are bad, and dataset_info.json, last.
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
from beam_pipelines.launching.dataset_info import pairs_info
from beam_pipelines.launching.launch import Step, execute, main, parse_job
from beam_pipelines.logs.cleaning import RELATION
from beam_pipelines.logs.keys import event_hash
from beam_pipelines.logs.read_log import ReadLog
from beam_pipelines.records.blocks import encode_block
from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.files import WriteJson, atomic_write
from beam_pipelines.records.row_order import HASH
from beam_pipelines.records.shards import WriteShards
from beam_pipelines.transforms.candidate_counts import CountCandidates
from beam_pipelines.transforms.vocabularies import Vocabularies, VocabularyDoFn
from tfrs_pretrain.data.dataset import CANDIDATE_PROBABILITY, PAIR_SPLITS, pair_columns
from tfrs_pretrain.hashing import combine, fraction, hash_ids, mix
from tfrs_pretrain.schema import ITEM_ID, USER_ID

TRAIN, HELDOUT = PAIR_SPLITS
HELDOUT_SALT = 1


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline; the vocabularies must have been written."""
    pairs = (
        pipeline
        | "Engagements" >> ReadLog(job, job.engagements)
        | "MapToRows" >> beam.ParDo(_MapToRows(job)).with_output_types(tuple[str, pa.RecordBatch])
    )
    _ = (
        pairs
        | "WritePairs" >> WriteShards(
            job.folder, PAIR_SPLITS, job.config.dataset,
            encode=functools.partial(encode_blocks, block=job.config.dataset.pairs_per_block,
                                     columns=pair_columns(job.schema)),
            measure=functools.partial(measure, user_oov=job.schema.user.oov_rows, item_oov=job.schema.item.oov_rows))
        | "GatherFiles" >> beam.combiners.ToList()
        | "WriteFiles" >> WriteJson(job.path(RESULTS_FOLDER, "pairs.json"))
    )
    _ = (
        pairs
        | "TrainingPairs" >> beam.Filter(lambda element: element[0] == TRAIN)
        | "CandidateRows" >> beam.MapTuple(lambda _, batch: batch["candidate"].to_numpy())
        | "CountCandidates" >> beam.CombineGlobally(CountCandidates())
        | "WriteProbability" >> beam.Map(write_probability, job)
    )


def run(argv: list[str]) -> PipelineResult:
    """Runs the job alone, from command-line arguments.

    Raises:
      UserError: see ``launch.execute`` and ``launch.parse_job``.
    """
    job, options = parse_job(argv, VocabularyOptions)
    return execute(job, "pairs", [Step("pairs", build, (job.engagements,))], pairs_info, options,
                   overwrite=options.view_as(DatasetOptions).overwrite)[0]


class _MapToRows(VocabularyDoFn):
    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        _, batch = element
        columns = {HASH: event_hash(batch), "query": self._vocabularies.rows("user", batch[USER_ID]),
                   "candidate": self._vocabularies.rows("item", batch[ITEM_ID])}
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


def is_heldout(row_hashes: np.ndarray, share: float) -> np.ndarray:
    """bool [rows]: engagements held out by hash, wherever and whenever they are read.

    Single engagements rather than whole (user, item) pairs: what is held out is then distributed like what is trained
    on, repeats included.
    """
    return fraction(mix(row_hashes + np.uint64(HELDOUT_SALT))) < share


def encode_blocks(pairs: pa.Table, *, block: int, columns: Iterable[str]) -> Iterator[RecordBuffer]:
    """Each record holds up to ``block`` pairs (see ``blocks``)."""
    arrays = {name: pairs[name].combine_chunks() for name in columns}
    for start in range(0, pairs.num_rows, block):
        yield encode_block({name: values.slice(start, block) for name, values in arrays.items()})


def measure(pairs: pa.Table, *, user_oov: int, item_oov: int) -> dict[str, int]:
    """Pairs with an id outside the vocabulary."""
    return {"oov_users": int((pairs["query"].to_numpy() < user_oov).sum()),
            "oov_items": int((pairs["candidate"].to_numpy() < item_oov).sum())}


def write_probability(counts: tuple[np.ndarray, np.ndarray], job: Job) -> str:
    """Writes the share of each item row among training pairs, float64 [item rows]."""
    rows, numbers = counts
    totals = np.zeros(Vocabularies.load(job).by_name["item"].size, np.int64)
    totals[rows] = numbers
    path = job.path(CANDIDATE_PROBABILITY)
    with atomic_write(path) as file:
        np.save(file, totals / max(int(totals.sum()), 1))
    return path


if __name__ == "__main__":
    sys.exit(main(__spec__.name, VocabularyOptions))
