"""``tfrs-pretrain``: the whole job, and each of its stages alone.

A command imports its stage when it runs: ``--help``, a mistyped option or a missing folder must not wait for
TensorFlow.
"""

from tfrs_pretrain.cli.application import app, main

# In the order of --help: importing a module adds its commands.
from tfrs_pretrain.cli import stages, evaluation, retraining, tuning, serving, retrieval, forgetting  # isort: skip
from tfrs_pretrain.cli import supply_chain, embeddings, settings  # isort: skip

__all__ = ["app", "embeddings", "evaluation", "forgetting", "main", "retraining", "retrieval", "serving", "settings",
           "stages", "supply_chain", "tuning"]
