"""Some validation impressions with raw values, so that an exported model can be asked what the trained one answered."""

import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import keys
from beam_pipelines.records.files import atomic_write
from beam_pipelines.records.row_order import HASH
from tfrs_pretrain.artifact_names import GOLDEN_IMPRESSIONS
from tfrs_pretrain.schema import HISTORY, ITEM_ID, KEY, USER_ID


def write_golden(rows: pa.Table, job: Job) -> str:
    """Writes key, raw ids and raw feature values; missing values as the models take them ("", -1, NaN).

    Lists are as long as they are; a history holds raw item ids.
    """
    columns = {KEY: keys(rows[HASH].to_numpy()), USER_ID: rows[USER_ID], ITEM_ID: rows[ITEM_ID]}
    for feature in job.schema.features:
        columns[feature.name] = feature.golden_values(rows[feature.name])
    if job.schema.history:
        columns[HISTORY] = rows[HISTORY]
    path = job.path(GOLDEN_IMPRESSIONS)
    with atomic_write(path) as file:
        pq.write_table(pa.table(columns), file)
    return path
