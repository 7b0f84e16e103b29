"""TensorFlow Serving's protocol without TensorFlow: messages, tensors, record files and signature names."""
