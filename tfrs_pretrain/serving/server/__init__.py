"""Development server with TensorFlow Serving's gRPC and REST interfaces.

It loads models as TensorFlow Serving does (session loader, warm-up requests, version labels, hot reload) and gives the
same answers. It is one Python process, for development and tests; production runs the ``tensorflow/serving`` image.
"""
