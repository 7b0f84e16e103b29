"""Typed configuration: one YAML file, ``--set a.b=c`` overrides, unknown keys refused. Each section has its file.

The resolved configuration is stored with every artifact. Values that the paper (Hsu et al., RecSys 2024) does not
publish, such as temperature and learning rates, are this project's own choice.
"""

from tfrs_pretrain.config.arms import (
    AnchorConfig,
    ArmConfig,
    ContinualMeda,
    EarlyStoppingConfig,
    Meda,
    NonContinualMeda,
)
from tfrs_pretrain.config.backbones import (
    Backbone,
    DcnV2Backbone,
    MlpBackbone,
    Network,
    PathNetwork,
    SerializedNetwork,
)
from tfrs_pretrain.config.conditions import Condition
from tfrs_pretrain.config.dataset import (
    SUFFIXES,
    DatasetConfig,
    Duplicates,
    ImplicitFeedback,
    MinCoverage,
    NegativeSampling,
    Source,
    Sources,
)
from tfrs_pretrain.config.distillation import DistillationConfig, FixedTeacherConfig, OnlineTeacher
from tfrs_pretrain.config.export import ExportConfig
from tfrs_pretrain.config.load import BUNDLED, first_difference, load_config, parse_config, parse_pretraining
from tfrs_pretrain.config.objectives import (
    CosineContrastiveObjective,
    InBatchNegatives,
    MixedNegatives,
    SoftmaxObjective,
    UniformNegatives,
)
from tfrs_pretrain.config.pretraining import PretrainingConfig
from tfrs_pretrain.config.ranking import RankingConfig
from tfrs_pretrain.config.root import Config
from tfrs_pretrain.config.training import TrainingConfig
from tfrs_pretrain.config.transfer import (
    AbsentTransfer,
    FrozenThenTrainableTransfer,
    FrozenTransfer,
    PretrainedTransfer,
    RandomTransfer,
    ScratchTransfer,
    TrainablePretrainedTransfer,
    Transfer,
    WarmStartTransfer,
)
from tfrs_pretrain.config.windows import Window, Windows

__all__ = [
    "BUNDLED", "SUFFIXES", "AbsentTransfer", "AnchorConfig", "ArmConfig", "Backbone", "Condition", "Config",
    "ContinualMeda", "CosineContrastiveObjective", "DatasetConfig", "DcnV2Backbone", "DistillationConfig",
    "Duplicates", "EarlyStoppingConfig", "ExportConfig", "FixedTeacherConfig", "FrozenThenTrainableTransfer",
    "FrozenTransfer", "ImplicitFeedback", "InBatchNegatives", "Meda", "MinCoverage", "MixedNegatives", "MlpBackbone",
    "NegativeSampling", "Network", "NonContinualMeda", "OnlineTeacher", "PathNetwork", "PretrainedTransfer",
    "PretrainingConfig", "RandomTransfer", "RankingConfig", "ScratchTransfer", "SerializedNetwork",
    "SoftmaxObjective", "Source", "Sources", "TrainablePretrainedTransfer", "TrainingConfig", "Transfer",
    "UniformNegatives", "WarmStartTransfer", "Window", "Windows", "first_difference", "load_config", "parse_config",
    "parse_pretraining",
]
