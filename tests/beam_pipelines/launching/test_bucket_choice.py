"""The number of buckets follows from the size of the input files."""

import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.input_state import choose_buckets
from tfrs_pretrain.config import Config

MIB = 2**20


@pytest.mark.parametrize(("sizes", "buckets"), [
    ([1], 16), ([128 * MIB], 16), ([128 * MIB, 1], 17), ([100 * MIB] * 20, 250), ([2 * 10**11], 23842)])
def test_a_bucket_has_eight_mebibytes_of_files(sizes, buckets):
    files = {f"part-{number}": (size, 1.0) for number, size in enumerate(sizes)}
    assert choose_buckets({"engagements": files, "impressions": {"x": (0, 1.0)}}) == buckets


def test_tables_of_unknown_size_have_many():
    assert choose_buckets({"engagements": {"x": (5, 1.0)}, "impressions": {}}) == 1024


def test_a_job_without_a_choice_has_the_least_number():
    job = Job(Config.model_validate(planted_config()), "raw", "out")
    assert (job.buckets, job.num_buckets) == (None, 16)
