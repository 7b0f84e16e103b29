"""Orders counted values by (-count, value) in ranges, so that no element contains a whole id space.

The counts of a hash bucket are sorted; a sample of their keys divides the order into ranges of about IDS_PER_RANGE
values. Each range is sorted and written to a file of its own. The order does not depend on the bounds of the ranges,
nor therefore on the buckets and the runner.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.records.files import atomic_write, open_file
from tfrs_pretrain.value_types import ARROW_TYPES

SAMPLE_STEP = 1 << 10  # every so many values of a bucket, one is in the sample
IDS_PER_RANGE = 1 << 20
ORDER = [("count", "descending"), ("value", "ascending")]


@dataclasses.dataclass(frozen=True, order=True)
class CountRange:
    """A file with the values of one range and their counts, in order.

    Attributes:
      number: place of the range among those of its name.
      path: the file.
      num_rows: number of values.
    """

    number: int
    path: str
    num_rows: int

    def read(self) -> pa.Table:
        """Reads the columns value and count."""
        with open_file(self.path) as file:
            return pa.ipc.open_stream(file.read()).read_all()


class OrderCounts(beam.PTransform):
    """Converts ``(name, table of value and count)``, one for each bucket, to ``(name, [CountRange])``, one a name.

    Values below ``min_count`` are left out, except with --extend, where known ids get any count.
    """

    def __init__(self, job: Job):
        super().__init__()
        self._job = job

    def expand(self, name_to_counts: beam.PCollection[tuple[str, pa.Table]]
               ) -> beam.PCollection[tuple[str, Iterable[CountRange]]]:
        ordered = name_to_counts | "SortBucket" >> beam.MapTuple(
            functools.partial(sort_bucket, job=self._job)).with_output_types(tuple[str, pa.Table])
        bounds = (
            ordered
            | "SampleKeys" >> beam.MapTuple(sample_keys).with_output_types(tuple[str, pa.Table])
            | "GroupSamples" >> beam.GroupByKey()
            | "ChooseBounds" >> beam.MapTuple(choose_bounds).with_output_types(tuple[str, pa.Table])
        )
        return (
            ordered
            | "CutIntoRanges" >> beam.FlatMap(cut_into_ranges, beam.pvalue.AsDict(bounds)).with_output_types(
                tuple[tuple[str, int], pa.Table])
            | "GroupByRange" >> beam.GroupByKey()
            | "WriteRange" >> beam.MapTuple(functools.partial(write_range, folder=self._job.path(RESULTS_FOLDER)))
            .with_output_types(tuple[str, CountRange])
            | "GroupRanges" >> beam.GroupByKey()
        )


def sort_bucket(name: str, counts: pa.Table, job: Job) -> tuple[str, pa.Table]:
    """Selects and sorts the counts of a bucket."""
    rules = job.schema.vocabularies[name]
    if not job.extend:
        counts = counts.filter(pc.greater_equal(counts["count"], rules.min_count))
    values = counts["value"].cast(ARROW_TYPES[rules.dtype])
    return name, _sorted(pa.table({"value": values, "count": counts["count"]}))


def _sorted(counts: pa.Table) -> pa.Table:
    return counts.sort_by(ORDER)


def sample_keys(name: str, ordered: pa.Table) -> tuple[str, pa.Table]:
    """Returns every SAMPLE_STEP-th value of a sorted bucket."""
    return name, ordered.take(pa.array(np.arange(SAMPLE_STEP - 1, ordered.num_rows, SAMPLE_STEP)))


def choose_bounds(name: str, samples: Iterable[pa.Table]) -> tuple[str, pa.Table]:
    """Returns the first keys of all ranges but the first, in order."""
    merged, step = _sorted(pa.concat_tables(samples)), max(IDS_PER_RANGE // SAMPLE_STEP, 1)
    return name, merged.take(pa.array(np.arange(step - 1, merged.num_rows, step)))


def cut_into_ranges(name_to_ordered: tuple[str, pa.Table], bounds: dict[str, pa.Table]
                    ) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    """Cuts a sorted bucket at the bounds of its name; an empty one is a piece of the first range."""
    name, ordered = name_to_ordered
    starts = [0, *_places(bounds[name], ordered), ordered.num_rows]
    for number, (start, end) in enumerate(itertools.pairwise(starts)):
        if start < end or (number == 0 and not ordered.num_rows):
            yield (name, number), ordered.slice(start, end - start).combine_chunks()


def _places(bounds: pa.Table, ordered: pa.Table) -> list[int]:
    """Returns the number of rows before each bound."""
    is_row = np.append(np.zeros(bounds.num_rows, bool), np.ones(ordered.num_rows, bool))
    merged = pa.concat_tables([bounds, ordered]).append_column("is_row", pa.array(is_row))
    places = np.flatnonzero(~merged.sort_by([*ORDER, ("is_row", "ascending")])["is_row"].to_numpy())
    numbers: list[int] = (places - np.arange(len(places))).tolist()
    return numbers


def write_range(key: tuple[str, int], pieces: Iterable[pa.Table], folder: str) -> tuple[str, CountRange]:
    """Sorts and writes a range."""
    name, number = key
    table, path = _sorted(pa.concat_tables(pieces)), f"{folder}/counts-{name}-{number:05d}.arrow"
    with atomic_write(path) as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return name, CountRange(number, path, table.num_rows)
