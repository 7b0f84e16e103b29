"""Single sections: sources and their formats, weights, devices, and the keys that exclude each other."""

import pytest

from tfrs_pretrain.config import Source, load_config
from tfrs_pretrain.errors import UserError


def refusal(*overrides):
    with pytest.raises(UserError) as caught:
        load_config("completejourney", overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("path", "expected"), [
    ("a.parquet", "parquet"), ("a.csv", "csv"), ("a.csv.gz", "csv"), ("a.jsonl", "jsonl"), ("a.jsonl.gz", "jsonl"),
    ("a.ndjson", "jsonl"), ("a.ndjson.gz", "jsonl"), ("a.avro", "avro"), ("folder", "parquet"), ("a.gz", "parquet"),
    ("csv", "parquet"), ("deep/*.avro", "avro")])
def test_a_plain_path_has_the_format_of_its_suffix(path, expected):
    source = Source.from_declared(path)
    assert (source.path, source.format, source.time, source.query) == (path, expected, "timestamp", None)


def test_a_declared_source_is_used_unchanged():
    source = Source(path="a.csv", format="jsonl", time="integer")
    assert Source.from_declared(source) is source


@pytest.mark.parametrize("source", [
    "{}", "{path: a, query: SELECT 1, format: bigquery}", "{query: SELECT 1}", "{query: SELECT 1, format: csv}"])
def test_a_source_has_one_place(source):
    assert refusal(f"dataset.sources.items={source}") == (
        "configuration 'completejourney': dataset.sources.items: a source needs either a path or, for format bigquery, "
        "a query")


@pytest.mark.parametrize(("source", "words"), [
    ("{path: a, format: orc}", "dataset.sources.items.format: unknown format 'orc': expected 'parquet', 'avro'"),
    ("{path: a, separator: x}", "unknown key 'dataset.sources.items.separator'"), ("3", "dataset.sources.items: ")])
def test_a_mapping_is_described_as_one(source, words):
    assert words in refusal(f"dataset.sources.items={source}")


def test_a_query_needs_no_path():
    config = load_config("completejourney", ["dataset.sources.items={query: SELECT 1, format: bigquery}"])
    assert (config.dataset.sources.items.path, config.dataset.sources.items.method) == (None, "DIRECT_READ")


@pytest.mark.parametrize("weights", ["{view: -1}", "{view: .inf}", "{view: .nan}", "{view: 0}"])
def test_weights_of_relations_are_finite_and_not_all_zero(weights):
    assert "weights must be finite and at least 0, and one must be above 0" in refusal(
        "schema.relation=action", f"dataset.relations={weights}")


def test_relations_have_a_column_and_an_order_of_their_own():
    config = load_config("completejourney", ["schema.relation=action", "dataset.relations={view: 0, buy: 2}"])
    assert list(config.dataset.relations.items()) == [("buy", 2.0), ("view", 0.0)]
    for override in ("schema.relation=action", "dataset.relations={view: 1}"):
        assert "schema.relation and dataset.relations go together" in refusal(override)


@pytest.mark.parametrize(("weight", "accepted"), [("0.5", True), ("0", False), ("-1", False), (".inf", False),
                                                  (".nan", False)])
def test_weights_of_labels_are_finite_and_positive(weight, accepted):
    overrides = ["schema.labels=[liked, bought_again]", f"ranking.labels={{liked: {weight}, bought_again: 1}}"]
    if accepted:
        assert list(load_config("completejourney", overrides).ranking.labels) == ["bought_again", "liked"]
    else:
        assert "weights of labels must be finite and above 0; leave out the others: {'liked': " in refusal(*overrides)


@pytest.mark.parametrize("rate", ["0", "1", "-0.1", "1.5"])
def test_a_rate_of_negatives_lies_between_0_and_1(rate):
    assert "dataset.negative_sampling.rate: Input should be" in refusal(f"dataset.negative_sampling={{rate: {rate}}}")


@pytest.mark.parametrize(("strategy", "accepted"), [
    ("auto", True), ("mirrored", True), ("one_device", False), ("multi_worker", False)])
def test_the_cpu_is_split_for_replicas_only(strategy, accepted):
    overrides = ["training.logical_cpus=2", f"training.strategy={strategy}"]
    if accepted:
        assert load_config("completejourney", overrides).training.logical_cpus == 2
    else:
        assert f"strategy '{strategy}' uses one CPU per process, not logical_cpus 2" in refusal(*overrides)


def test_one_cpu_goes_with_every_strategy():
    for strategy in ("auto", "one_device", "mirrored", "multi_worker"):
        assert load_config("completejourney", [f"training.strategy={strategy}"]).training.strategy == strategy


def test_every_placement_goes_with_several_workers():
    for name in ("replicated", "sharded", "host", "auto"):
        settings = load_config("completejourney", [f"training.placement={name}", "training.strategy=multi_worker"])
        assert settings.training.placement_of("user") == name


def test_a_placement_names_tables():
    assert "training.placement names ['users'], which are no tables: name some of [" in refusal(
        "training.placement={users: sharded}")
    placed = load_config("completejourney", ["training.placement={user: sharded, fresh_item: auto}"]).training
    assert [placed.placement_of(name) for name in ("user", "fresh_item", "item")] == ["sharded", "auto", "replicated"]
    assert "training.placement" in refusal("training.placement=elsewhere")


def test_there_is_at_least_one_arm():
    assert "ranking.arms is empty: name at least one arm" in refusal("ranking.arms={}")


@pytest.mark.parametrize(("name", "accepted"), [("a_B-9.x", True), ("", False), ("a b", False), ("ä", False)])
def test_the_name_is_a_folder_name(name, accepted):
    if accepted:
        assert load_config("completejourney", [f"name={name}"]).name == name
    else:
        assert "name: " in refusal(f"name='{name}'")


def test_a_configuration_cannot_change():
    config = load_config("completejourney")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3
    with pytest.raises(ValueError, match="frozen"):
        config.pretraining.objective.temperature = 1.0
