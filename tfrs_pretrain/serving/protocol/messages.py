"""TensorFlow Serving's protobuf messages, without TensorFlow.

Where tensorflow-serving-api is installed, these are its classes, so that they mix with TensorFlow's. Elsewhere, such as
in a client that has only the extra ``client``, they are made from the ``.proto`` files of this folder.
"""

from __future__ import annotations

import importlib.util

__all__ = [
    "ClassificationRequest", "ClassificationResponse", "DataType", "Example", "GetModelMetadataRequest",
    "GetModelMetadataResponse", "GetModelStatusRequest", "GetModelStatusResponse", "InferenceResult",
    "InferenceTask", "Input", "ModelConfig", "ModelServerConfig", "ModelSpec", "ModelVersionStatus",
    "MultiInferenceRequest", "MultiInferenceResponse", "PredictRequest", "PredictResponse", "PredictionLog",
    "RegressionRequest", "RegressionResponse", "ReloadConfigRequest", "ReloadConfigResponse", "SavedModel",
    "SignatureDef", "SignatureDefMap", "TensorInfo", "TensorProto",
]

if importlib.util.find_spec("tensorflow") and importlib.util.find_spec("tensorflow_serving"):
    from tfrs_pretrain.serving.protocol.generated import (
        ClassificationRequest,
        ClassificationResponse,
        DataType,
        Example,
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        GetModelStatusRequest,
        GetModelStatusResponse,
        InferenceResult,
        InferenceTask,
        Input,
        ModelConfig,
        ModelServerConfig,
        ModelSpec,
        ModelVersionStatus,
        MultiInferenceRequest,
        MultiInferenceResponse,
        PredictionLog,
        PredictRequest,
        PredictResponse,
        RegressionRequest,
        RegressionResponse,
        ReloadConfigRequest,
        ReloadConfigResponse,
        SavedModel,
        SignatureDef,
        SignatureDefMap,
        TensorInfo,
        TensorProto,
    )
else:
    from tfrs_pretrain.serving.protocol.declared import declared_messages

    globals().update({name: kind for name, kind in declared_messages()[1].items() if name in __all__})
