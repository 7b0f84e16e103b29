"""The runner in this process with a limit of zero bytes, against Beam's own; its temporary files."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner
from folder_contents import folder_contents

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs import local_runner, spill_store
from beam_pipelines.jobs.local_runner import make_runner
from beam_pipelines.jobs.runner import pipeline_options, run_pipeline
from beam_pipelines.jobs.spill_store import SpillStore
from beam_pipelines.jobs.spilling_runner import SpillingRunner, differences
from tfrs_pretrain.errors import UserError

SPILL = "--spill_mb=0"


@pytest.fixture
def stores(monkeypatch):
    """The stores of all pipelines of a test."""
    made = []

    def make(*arguments):
        made.append(SpillStore(*arguments))
        return made[-1]

    monkeypatch.setattr(local_runner, "SpillStore", make)
    return made


def test_the_dataset_has_the_same_bytes_with_temporary_files(stores, tiny_dataset, planted_config, planted_logs,
                                                            tmp_path):
    build(planted_config, planted_logs, tmp_path / "again", [SPILL])
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)
    assert all(store.file_bytes > 100_000 for store in stores)
    assert [store.chunk_bytes for store in stores] == [0, 0, 0]


def _groups(pipeline: beam.Pipeline, seen: list[object]) -> None:
    """Groups numbers of two inputs; the numbers are also a side input, and read twice."""
    numbers = pipeline | beam.Create(range(3000)) | beam.Reshuffle()
    doubled = numbers | "Double" >> beam.Map(lambda number: 2 * number)
    keyed = (numbers, doubled) | beam.Flatten() | beam.Map(
        lambda number, total: (number % 7, number + total), beam.pvalue.AsSingleton(
            numbers | beam.CombineGlobally(sum)))
    grouped = keyed | beam.GroupByKey()
    _ = grouped | "First" >> beam.MapTuple(lambda key, values: seen.append((key, list(values))))
    _ = grouped | "Second" >> beam.Map(lambda group, all_numbers: seen.append((group[0], len(all_numbers))),
                                       beam.pvalue.AsList(numbers))


def _seen(runner) -> list[object]:
    seen: list[object] = []
    SEEN.append(seen)
    with beam.Pipeline(runner=runner) as pipeline:
        _groups(pipeline, _Recorder(len(SEEN) - 1))
    return seen


SEEN: list[list[object]] = []


class _Recorder:
    """A list that Beam may pickle."""

    def __init__(self, number: int):
        self._number = number

    def append(self, value: object) -> None:
        SEEN[self._number].append(value)


def test_groups_and_side_inputs_come_in_the_order_of_beam(tmp_path):
    store = SpillStore(str(tmp_path), 0)
    expected = _seen(fn_runner.FnApiRunner())
    assert _seen(SpillingRunner(store)) == expected
    assert sorted(key for key, values in expected if isinstance(values, list)) == list(range(7))
    assert store.file_bytes > 10_000


def _open_files(folder: Path) -> int:
    return sum(str(path.readlink()).startswith(f"{folder}/") for path in Path("/proc/self/fd").iterdir()
               if path.is_symlink())


class _Look:
    """Records the names in a folder and the temporary files of this process; then fails, if it is told to."""

    found: tuple[list[str], int] | None = None

    def __init__(self, folder: Path, fails: bool):
        self._folder, self._fails = folder, fails

    def __call__(self, element):
        _Look.found = [path.name for path in self._folder.iterdir()], _open_files(self._folder)
        if self._fails:
            raise UserError("enough")
        return element


@pytest.mark.parametrize("fails", [False, True])
def test_temporary_files_have_no_name_and_end_with_the_pipeline(tmp_path, fails, stores):
    """A killed process leaves nothing behind either."""
    def work(pipeline: beam.Pipeline) -> None:
        _ = (pipeline | beam.Create(range(1000)) | beam.Reshuffle() | beam.Map(lambda number: (number % 2, number))
             | beam.GroupByKey() | beam.Map(_Look(tmp_path / "spill", fails)))

    options = pipeline_options([SPILL, f"--spill_folder={tmp_path / 'spill'}"])
    if fails:
        with pytest.raises(UserError, match="enough"):
            run_pipeline(work, options)
    else:
        run_pipeline(work, options)
    names, number = _Look.found
    assert names == []
    assert number >= 1
    assert list((tmp_path / "spill").iterdir()) == []
    assert _open_files(tmp_path / "spill") == 0
    assert stores[0].chunk_bytes == 0


def _run_small(*options: str) -> None:
    run_pipeline(lambda pipeline: pipeline | beam.Create([(1, 2)]) | beam.Reshuffle() | beam.GroupByKey(),
                 pipeline_options([SPILL, *options]))


def _full_disk(dir):
    del dir
    return Path("/dev/full").open("r+b")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(spill_store.tempfile, "TemporaryFile", _full_disk)
    with pytest.raises(UserError, match=r"^the job cannot write its temporary files to '.*' after 0\.0 GB \(No space "
                       r"left on device\): free space there, or name a folder on another disk with --spill_folder$"):
        _run_small(f"--spill_folder={tmp_path}")


def test_a_folder_that_cannot_be_created_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^the job cannot write its temporary files to '.*/x' \(Not a directory\)"):
        _run_small(f"--spill_folder={tmp_path / 'file' / 'x'}")


def test_a_negative_limit_is_refused():
    with pytest.raises(UserError, match=r"^--spill_mb -1: expected at least 0$"):
        pipeline_options(["--spill_mb=-1"])


@pytest.mark.parametrize(("arguments", "output", "folder"), [
    ([], "/data/out", "/data/out"), ([], "gs://bucket/out", "/tmp/here"), ([], None, "/tmp/here"),
    (["--spill_folder=/fast"], "/data/out", "/fast")])
def test_temporary_files_are_on_the_disk_of_the_output(arguments, output, folder, monkeypatch):
    monkeypatch.setattr(local_runner.tempfile, "gettempdir", lambda: "/tmp/here")
    assert local_runner.spill_folder(pipeline_options(arguments), output) == folder


@pytest.mark.parametrize("argument", ["--runner=DirectRunner", "--direct_num_workers=2",
                                      "--direct_running_mode=multi_threading", "--direct_runner_bundle_repeat=1"])
def test_other_ways_to_run_use_the_runner_of_beam(argument):
    assert make_runner(pipeline_options([argument]), None) is None


def test_another_form_of_beam_is_named_and_its_runner_used(monkeypatch, capsys):
    assert differences() == []

    def changed(self, context, manager, data, more):
        raise AssertionError

    local_runner._warn_once.cache_clear()
    monkeypatch.setattr(fn_runner.FnApiRunner, "_execute_bundle", changed)
    monkeypatch.delattr(fn_runner.BundleManager, "_send_input_to_worker")
    for _ in range(2):
        assert make_runner(pipeline_options([]), None) is None
    assert capsys.readouterr().err.splitlines() == [
        "! Beam 2.77.0 differs from 2.77 in FnApiRunner._execute_bundle, BundleManager._send_input_to_worker: the "
        "default runner keeps all rows between two steps in memory. Install the version of constraints.txt, or use "
        "another runner for large logs"]
