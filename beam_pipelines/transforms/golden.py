"""Golden impressions: validation impressions with raw values, to compare an exported model with the trained one."""

import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import unique_keys
from beam_pipelines.records.files import atomic_write
from beam_pipelines.records.row_order import HASH
from tfrs_pretrain.artifact_names import GOLDEN_IMPRESSIONS
from tfrs_pretrain.schema import HISTORY, ITEM_ID, KEY, USER_ID


def write_golden(table: pa.Table, job: Job) -> str:
    """Writes key, raw ids and raw feature values of joined impressions; returns the path.

    Missing values are written as the models receive them ("", -1, NaN); lists are not padded; a history contains raw
    item ids.
    """
    columns = {KEY: unique_keys(table[HASH].to_numpy()), USER_ID: table[USER_ID], ITEM_ID: table[ITEM_ID]}
    for feature in job.schema.features:
        columns[feature.name] = feature.golden_values(table[feature.name])
    if job.schema.history:
        columns[HISTORY] = table[HISTORY]
    path = job.path(GOLDEN_IMPRESSIONS)
    with atomic_write(path) as file:
        pq.write_table(pa.table(columns), file)
    return path
