"""Typed configuration: one YAML file, ``--set a.b=c`` overrides, unknown keys refused; one file a section.

The resolved configuration is stored with every artifact. Values that the paper (Hsu et al., RecSys 2024) does not
publish, such as temperature and learning rates, are this project's own choice.
"""

from tfrs_pretrain.config.arms import (
    AnchorConfig,
    ArmConfig,
    DistillationConfig,
    EarlyStoppingConfig,
    MedaConfig,
    TransferConfig,
)
from tfrs_pretrain.config.backbones import Backbone, DcnV2Backbone, MlpBackbone
from tfrs_pretrain.config.dataset import (
    SUFFIXES,
    CompleteJourneyConfig,
    DatasetConfig,
    Duplicates,
    NegativeSampling,
    Source,
    Sources,
)
from tfrs_pretrain.config.export import ExportConfig
from tfrs_pretrain.config.load import BUNDLED, first_difference, load_config, parse_config
from tfrs_pretrain.config.pretraining import PretrainingConfig
from tfrs_pretrain.config.ranking import RankingConfig
from tfrs_pretrain.config.root import Config
from tfrs_pretrain.config.training import TrainingConfig
from tfrs_pretrain.config.windows import Window, Windows

__all__ = [
    "BUNDLED", "SUFFIXES", "AnchorConfig", "ArmConfig", "Backbone", "CompleteJourneyConfig", "Config", "DatasetConfig",
    "DcnV2Backbone", "DistillationConfig", "Duplicates", "EarlyStoppingConfig", "ExportConfig", "MedaConfig",
    "MlpBackbone", "NegativeSampling", "PretrainingConfig", "RankingConfig", "Source", "Sources", "TrainingConfig",
    "TransferConfig", "Window", "Windows", "first_difference", "load_config", "parse_config",
]
