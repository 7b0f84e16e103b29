"""Feature kinds by name: built in, registered, or found through an entry point."""

import pickle
from typing import Literal

import pytest
from bucketised import BucketisedFeature
from own_packages import install
from pydantic import Field, TypeAdapter, ValidationError

from tfrs_pretrain.features import registry
from tfrs_pretrain.features.categorical import CategoricalFeature
from tfrs_pretrain.features.multi_valued import MultiValuedFeature
from tfrs_pretrain.features.numeric import NumericFeature
from tfrs_pretrain.features.registry import AnyFeature, kind_named, parse_feature, register, registered_kinds
from tfrs_pretrain.own_code import FEATURES

TREE = {"name": "price", "source": "items"}
MINIMAL = {
    CategoricalFeature: TREE | {"kind": "categorical", "dtype": "string"},
    NumericFeature: TREE | {"kind": "numeric", "dtype": "float32"},
    MultiValuedFeature: TREE | {"kind": "multi_valued", "dtype": "int64", "max_values": 2}}


@pytest.fixture(autouse=True)
def no_trace(monkeypatch):
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))


@pytest.mark.parametrize("kind", MINIMAL)
def test_the_key_kind_selects_the_class(kind):
    feature = parse_feature(MINIMAL[kind])
    assert type(feature) is kind
    assert parse_feature(feature) is feature
    assert feature == parse_feature(feature.model_dump(mode="json"))
    assert pickle.loads(pickle.dumps(feature)) == feature


@pytest.mark.parametrize(("kind", "key", "value"), [
    (CategoricalFeature, "max_values", 3), (CategoricalFeature, "separator", ","), (CategoricalFeature, "log1p", True),
    (NumericFeature, "min_count", 2), (NumericFeature, "oov_rows", 4), (NumericFeature, "max_values", 3),
    (MultiValuedFeature, "log1p", True), (MultiValuedFeature, "max_size", 9)])
def test_a_key_of_another_kind_is_refused(kind, key, value):
    with pytest.raises(ValidationError, match=rf"{key}\n.*Extra inputs are not permitted"):
        parse_feature(MINIMAL[kind] | {key: value})


@pytest.mark.parametrize(("kind", "change", "message"), [
    (CategoricalFeature, {"dtype": "float32"}, "dtype"), (CategoricalFeature, {"oov_rows": 0}, "oov_rows"),
    (NumericFeature, {"dtype": "int64"}, "dtype"), (MultiValuedFeature, {"max_values": 0}, "max_values"),
    (MultiValuedFeature, {"separator": ""}, "separator"), (MultiValuedFeature, {"source": "carts"}, "source")])
def test_a_value_out_of_range_is_refused(kind, change, message):
    with pytest.raises(ValidationError, match=message):
        parse_feature(MINIMAL[kind] | change)


@pytest.mark.parametrize("declared", [TREE, TREE | {"kind": "tensor"}, TREE | {"kind": ["numeric"]}, "price", None])
def test_an_unknown_kind_is_refused_with_the_known_ones(declared):
    with pytest.raises(ValidationError, match=r"known kind \(categorical, numeric, multi_valued\)"):
        TypeAdapter(AnyFeature).validate_python(declared)


def test_problems_are_reported_at_their_place():
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(tuple[AnyFeature, ...]).validate_python([MINIMAL[NumericFeature], TREE | {"kind": "numeric"}])
    assert [error["loc"] for error in raised.value.errors()] == [(1, "dtype")]


@pytest.mark.parametrize("kind", MINIMAL)
def test_a_feature_that_version_0_1_stored_is_read(kind):
    stored = {"column": None, "min_count": 1, "oov_rows": 1, "max_values": None, "separator": None, "log1p": False,
              "privileged": False} | MINIMAL[kind]
    assert parse_feature(stored) == parse_feature(MINIMAL[kind])


def test_the_json_schema_is_a_union_of_the_kinds_with_their_keys():
    register(BucketisedFeature)
    schema = TypeAdapter(AnyFeature).json_schema()
    assert schema["discriminator"]["mapping"].keys() == {"categorical", "numeric", "multi_valued", "bucketised"}
    assert schema["$defs"]["NumericFeature"]["properties"].keys() == {
        "name", "source", "column", "kind", "dtype", "privileged", "log1p"}


def test_a_kind_is_registered_once():
    assert register(BucketisedFeature) is BucketisedFeature
    assert register(BucketisedFeature) is BucketisedFeature
    assert registered_kinds()["bucketised"] is kind_named("bucketised") is BucketisedFeature
    registry.unregister("bucketised")
    with pytest.raises(KeyError):
        kind_named("bucketised")


def test_another_class_of_the_same_name_is_refused():
    class Impostor(NumericFeature):
        pass

    with pytest.raises(TypeError, match="feature kind 'numeric' is already NumericFeature"):
        register(Impostor)


def test_an_incomplete_kind_is_refused_by_the_names_of_what_it_lacks():
    class Incomplete(BucketisedFeature):
        graph_column = registry.Feature.graph_column
        clean = registry.Feature.clean

    with pytest.raises(TypeError, match="feature kind Incomplete lacks clean, graph_column"):
        register(Incomplete)


def test_a_kind_without_a_name_is_refused():
    class Nameless(BucketisedFeature):
        kind: str = Field(description="no literal")

    class Ambiguous(BucketisedFeature):
        kind: Literal["one", "other"] = Field(description="two literals")

    for kind in (Nameless, Ambiguous):
        with pytest.raises(TypeError, match=r'must declare its name: kind: Literal\["..."\]'):
            register(kind)


def test_a_kind_of_an_installed_package_is_found_by_its_entry_point(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, {FEATURES: {"bucketised": "bucketised:BucketisedFeature"}})
    assert isinstance(parse_feature(TREE | {"kind": "bucketised", "boundaries": [1]}), BucketisedFeature)
    with pytest.raises(KeyError):
        kind_named("other")
