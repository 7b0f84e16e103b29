"""TensorFlow Serving's generated messages, imported without TensorFlow: 0.1 s instead of 3 to 6 s of a client's start.

The generated modules of tensorflow-serving-api import message modules inside the ``tensorflow`` package, whose
``__init__`` loads all of TensorFlow, although the messages do not need it. During their import, an empty placeholder
package with TensorFlow's path takes its place. A later ``import tensorflow`` finds the same message classes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator


@contextlib.contextmanager
def _placeholder_package() -> Iterator[None]:
    """Puts an empty ``tensorflow`` package in place while the body runs, unless TensorFlow is already imported."""
    if "tensorflow" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("tensorflow")
    placeholder = types.ModuleType("tensorflow")
    placeholder.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    sys.modules["tensorflow"] = placeholder
    try:
        yield
    finally:
        # Remove the packages, so that TensorFlow's own import creates them. Keep the message modules: protobuf allows
        # each message to be registered only once.
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "tensorflow" and hasattr(module, "__path__"):
                del sys.modules[name]


with _placeholder_package():
    from tensorflow.core.example.example_pb2 import Example
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.framework.types_pb2 import DataType
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
    from tensorflow_serving.apis.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        SignatureDefMap,
    )
    from tensorflow_serving.apis.get_model_status_pb2 import (
        GetModelStatusRequest,
        GetModelStatusResponse,
        ModelVersionStatus,
    )
    from tensorflow_serving.apis.inference_pb2 import (
        InferenceResult,
        InferenceTask,
        MultiInferenceRequest,
        MultiInferenceResponse,
    )
    from tensorflow_serving.apis.input_pb2 import Input
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse
    from tensorflow_serving.apis.model_pb2 import ModelSpec
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
    from tensorflow_serving.apis.regression_pb2 import RegressionRequest, RegressionResponse
    from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

__all__ = [
    "ClassificationRequest", "ClassificationResponse", "DataType", "Example", "GetModelMetadataRequest",
    "GetModelMetadataResponse", "GetModelStatusRequest", "GetModelStatusResponse", "InferenceResult",
    "InferenceTask", "Input", "ModelConfig", "ModelServerConfig", "ModelSpec", "ModelVersionStatus",
    "MultiInferenceRequest", "MultiInferenceResponse", "PredictRequest", "PredictResponse", "PredictionLog",
    "RegressionRequest", "RegressionResponse", "ReloadConfigRequest", "ReloadConfigResponse", "SavedModel",
    "SignatureDef", "SignatureDefMap", "TensorInfo", "TensorProto",
]
