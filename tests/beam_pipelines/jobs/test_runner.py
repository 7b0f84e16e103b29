"""Options, errors of workers, and help."""

import argparse
import errno
import logging

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineRunner, PipelineState

from beam_pipelines.jobs import runner
from beam_pipelines.jobs.options import DatasetOptions, ReadOptions
from beam_pipelines.jobs.runner import WORKER_ERROR, help_text, pipeline_options, run_pipeline
from tfrs_pretrain.errors import UserError


def test_the_default_runner_works_in_this_process():
    assert pipeline_options([]).view_as(StandardOptions).runner == "FnApiRunner"
    assert pipeline_options(["--runner=DirectRunner"]).view_as(StandardOptions).runner == "DirectRunner"


def test_unknown_options_are_refused_unless_another_runner_may_know_them():
    with pytest.raises(UserError, match=r"^unknown option --a_typo: run the job with --help"):
        pipeline_options(["--no_such=1", "--a_typo"])
    assert pipeline_options(["--runner=FlinkRunner", "--a_typo=1"])


def test_options_of_the_jobs_have_defaults():
    options = pipeline_options([])
    assert (options.view_as(ReadOptions).read_batch_rows, options.view_as(ReadOptions).buckets) == (131072, None)
    assert (options.view_as(DatasetOptions).set, options.view_as(DatasetOptions).overwrite) == ([], False)


@pytest.mark.parametrize("text", [
    "RuntimeError: tfrs_pretrain.errors.UserError: table x: bad [while running 'Read/ParDo']",
    "UserError: table x: bad", "Traceback ...\nUserError: table x: bad\n\nDuring handling",
    "b'UserError: table x: bad\\n  at ...'", "UserError: table x: bad [ptransform='y']"])
def test_the_message_of_a_worker_is_found_in_the_text_of_an_exception(text):
    assert WORKER_ERROR.search(text)[1] == "table x: bad"


def _fail(error: Exception):
    def build(pipeline: beam.Pipeline) -> None:
        def work(_: int) -> None:
            raise error

        _ = pipeline | beam.Create([1]) | beam.Map(work)
    return build


def test_a_user_error_of_a_worker_reaches_the_user_in_one_line(caplog):
    with pytest.raises(UserError) as caught:
        run_pipeline(_fail(UserError("table x: row 3 is bad; correct it")), pipeline_options([]))
    assert str(caught.value) == "table x: row 3 is bad; correct it"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_an_error_of_the_system_in_a_worker_is_one_line(caplog):
    with pytest.raises(UserError, match=r"^'/x/y': No space left on device: check the path"):
        run_pipeline(_fail(OSError(errno.ENOSPC, "No space left on device", "/x/y")), pipeline_options([]))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_other_errors_of_a_worker_are_not_hidden(caplog):
    with pytest.raises(ZeroDivisionError):
        run_pipeline(_fail(ZeroDivisionError("oops")), pipeline_options([]))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and "oops" in record.getMessage()]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--runner=FlinkRuner"], "--runner=FlinkRuner (Unexpected pipeline runner: FlinkRuner."),
    (["--runner=absent_module.Runner"], "--runner=absent_module.Runner (No module named 'absent_module')"),
    (["--runner=DataflowRunner"], "Missing required option: project. Missing required option: region."),
])
def test_a_runner_that_cannot_be_used_is_one_line(arguments, words):
    with pytest.raises(UserError) as caught:
        run_pipeline(lambda pipeline: None, pipeline_options(arguments))
    assert words in str(caught.value)
    assert str(caught.value).startswith("the pipeline cannot run with --runner=")
    assert "\n" not in str(caught.value)


class _Pipeline:
    """Records whether its end is awaited."""

    awaited = False
    state = PipelineState.RUNNING

    def __init__(self, runner: PipelineRunner | None, options: PipelineOptions):
        del runner, options

    def run(self):
        return self

    def wait_until_finish(self):
        self.awaited = True


@pytest.mark.parametrize(("template", "awaited"), [(None, True), ("gs://bucket/template", False)])
def test_a_template_is_submitted_but_not_awaited(template, awaited, monkeypatch):
    monkeypatch.setattr(runner.beam, "Pipeline", _Pipeline)
    options = pipeline_options([])
    options.view_as(GoogleCloudOptions).template_location = template
    assert run_pipeline(lambda pipeline: None, options).awaited == awaited


class _Options(PipelineOptions):
    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--depth", type=int, help="how deep to dig")


def test_help_has_the_text_of_the_module_and_its_options():
    text = help_text("a.b", "Digs holes.\n\n    python -m a.b --depth 3", [_Options])
    assert text.startswith("usage: python -m a.b [-h] [--depth DEPTH]")
    assert "\n    python -m a.b --depth 3\n" in text
    assert "how deep to dig" in text
    assert text.endswith("such as --runner or --direct_num_workers.\n")
