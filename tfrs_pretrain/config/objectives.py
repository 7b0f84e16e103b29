"""Losses of Stage I and the negatives that each can use: built-in ones, and those of installed packages."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag, model_validator

from tfrs_pretrain.config.packaged import PACKAGED, NamesItsKinds, PackagedKind, by_kind
from tfrs_pretrain.own_code import NEGATIVES, TASKS
from tfrs_pretrain.strict_model import KindModel, short_form


class _Negatives(KindModel):
    mask_known_positives: bool = Field(False, description="remove the user's other training items from the negatives")


class _SampledNegatives(_Negatives):
    """Negatives that include the items of the batch, whose frequency the logits can be corrected for."""

    log_q: Literal["none", "classic", "refined"] = Field(
        "classic", description="classic: subtract the log sampling probability from the logits (Yi et al., RecSys "
                               "2019); refined: the positive is certain, not sampled (arXiv 2507.09331)")
    remove_accidental_hits: bool = Field(True, description="drop in-batch negatives equal to the positive item")

    @model_validator(mode="after")
    def _refined_needs_hits_removed(self) -> _SampledNegatives:
        if self.log_q == "refined" and not self.remove_accidental_hits:
            raise ValueError("log_q 'refined' needs remove_accidental_hits: set it to true, or log_q to classic")
        return self


class InBatchNegatives(_SampledNegatives):
    """The items of the other pairs in the batch."""

    count: ClassVar[int] = 0
    in_batch: ClassVar[bool] = True
    kind: Literal["in_batch"] = Field("in_batch", description="which negatives")


class MixedNegatives(_SampledNegatives):
    """The items of the other pairs and uniform draws from the corpus (Yang et al., WWW 2020)."""

    in_batch: ClassVar[bool] = True
    kind: Literal["mixed"] = Field("mixed", description="which negatives")
    count: int = Field(ge=1, description="uniform draws per step over all replicas")


class UniformNegatives(_Negatives):
    """Uniform draws from the corpus, which need no correction."""

    in_batch: ClassVar[bool] = False
    log_q: ClassVar[Literal["none"]] = "none"
    kind: Literal["uniform"] = Field("uniform", description="which negatives")
    count: int = Field(ge=1, description="uniform draws per step over all replicas")


_NEGATIVES_KINDS = ("in_batch", "mixed", "uniform")


class PackagedNegatives(PackagedKind, _Negatives):
    """Draws of an installed package: the entry point of that name in group ``tfrs_pretrain.negatives``."""

    group: ClassVar[str] = NEGATIVES
    built_in: ClassVar[tuple[str, ...]] = _NEGATIVES_KINDS
    remove_accidental_hits: ClassVar[bool] = True

    count: int = Field(ge=1, description="draws per step over all replicas")
    in_batch: bool = Field(True, description="the items of the other pairs in the batch are negatives too")
    log_q: Literal["none", "classic"] = Field(
        "classic", description="classic: subtract the log sampling probability, which the sampler states")


Negatives = Annotated[
    Annotated[InBatchNegatives, Tag("in_batch")] | Annotated[MixedNegatives, Tag("mixed")]
    | Annotated[UniformNegatives, Tag("uniform")] | Annotated[PackagedNegatives, Tag(PACKAGED)],
    by_kind(_NEGATIVES_KINDS), NamesItsKinds(_NEGATIVES_KINDS), short_form("in_batch")]


class SoftmaxObjective(KindModel):
    """Cross-entropy of the positive item over the candidates."""

    kind: Literal["softmax"] = Field("softmax", description="which loss")
    temperature: float = Field(0.2, gt=0, description="divides the similarity")
    learn_temperature: bool = Field(False, description="start from temperature and learn it with the tables")
    normalize: bool = Field(True, description="L2-normalize both embeddings before the dot product")
    popularity_prior: float = Field(
        0.0, ge=0, description="times log(share of the item in the training pairs), added to each logit")
    negatives: Negatives = Field(InBatchNegatives(), description="candidates beside the positive item")

    @property
    def path(self) -> str:
        """Module and name of the loss, which is called with ``task_settings``."""
        if self.negatives.in_batch:
            return "tfrs_pretrain.pretraining.in_batch_softmax:InBatchSoftmax"
        uniform = isinstance(self.negatives, UniformNegatives)
        return f"tfrs_pretrain.pretraining.{'uniform_softmax:Uniform' if uniform else 'sampled_softmax:Sampled'}Softmax"

    @property
    def task_settings(self) -> dict[str, Any]:
        """Arguments of the loss."""
        common = {"temperature": self.temperature, "normalize": self.normalize}
        if isinstance(self.negatives, UniformNegatives) or not self.negatives.in_batch:
            return common
        return common | {"remove_accidental_hits": self.negatives.remove_accidental_hits,
                         "refined": self.negatives.log_q == "refined"}


class CosineContrastiveObjective(KindModel):
    """A margin on cosines against uniform negatives (SimpleX, arXiv 2109.12613)."""

    path: ClassVar[str] = "tfrs_pretrain.pretraining.cosine_contrastive:CosineContrastive"
    normalize: ClassVar[bool] = True
    learn_temperature: ClassVar[bool] = False
    popularity_prior: ClassVar[float] = 0.0
    kind: Literal["cosine_contrastive"] = Field("cosine_contrastive", description="which loss")
    margin: float = Field(0.4, ge=-1, lt=1, description="cosine up to which a negative costs nothing")
    negative_weight: float = Field(50.0, gt=0, description="weight of the mean over the negatives")
    negatives: UniformNegatives = Field(description="draws that the positive item is compared with")

    @property
    def task_settings(self) -> dict[str, Any]:
        """Arguments of the loss."""
        return {"margin": self.margin, "negative_weight": self.negative_weight}


_OBJECTIVE_KINDS = ("softmax", "cosine_contrastive")


class PackagedObjective(PackagedKind):
    """A loss of an installed package: the entry point of that name in group ``tfrs_pretrain.tasks``."""

    group: ClassVar[str] = TASKS
    built_in: ClassVar[tuple[str, ...]] = _OBJECTIVE_KINDS
    learn_temperature: ClassVar[bool] = False
    popularity_prior: ClassVar[float] = 0.0

    normalize: bool = Field(True, description="the loss compares rows by cosine (false: by inner product), and so do "
                                              "evaluation, retrieval and neighbors")
    negatives: Negatives = Field(InBatchNegatives(), description="candidates beside the positive item")


Objective = Annotated[
    Annotated[SoftmaxObjective, Tag("softmax")] | Annotated[CosineContrastiveObjective, Tag("cosine_contrastive")]
    | Annotated[PackagedObjective, Tag(PACKAGED)], by_kind(_OBJECTIVE_KINDS), NamesItsKinds(_OBJECTIVE_KINDS),
    short_form("softmax")]
