"""A small server with TensorFlow Serving's interface, for development and tests.

It loads models as the real one does (the session loader, warm-up requests, version labels, hot reload) and answers
gRPC and REST alike. It is one Python process: production runs the official ``tensorflow/serving`` image.
"""
