"""Two-stage training of recommenders: contrastive ID pretraining, then ranking with distillation."""

__version__ = "0.2.0"
