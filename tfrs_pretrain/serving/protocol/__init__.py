"""Messages, tensors and records of TensorFlow Serving's protocol."""
