"""Two-stage training of recommenders: contrastive ID pretraining, then ranking with distillation.

TensorFlow Recommenders runs only on Keras 2, which TensorFlow offers as ``tf.keras`` when the environment
variable ``TF_USE_LEGACY_KERAS`` is 1 *before* TensorFlow is imported. Importing this package first sets it.
"""

import os
import sys

__version__ = "0.1.0"

if os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    if "tensorflow" in sys.modules:
        raise ImportError(
            "tfrs_pretrain was imported after tensorflow, so tf.keras is already Keras 3 and TensorFlow "
            "Recommenders cannot load. Import tfrs_pretrain first, or start Python with TF_USE_LEGACY_KERAS=1."
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
# TensorFlow's C++ start-up messages would bury the progress bars; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
