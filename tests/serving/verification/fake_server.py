"""A client with predefined answers, which needs no server."""

from tfrs_pretrain.serving.client import Client, Metadata, Model, RequestError


class FakeClient(Client):
    """Returns predefined outputs, statuses and metadata; raises exceptions among them, and calls functions."""

    def __init__(self, outputs=None, statuses=(), metadata=None):
        super().__init__("host:1", Model("m"))
        self.outputs, self.statuses, self.known = outputs, statuses, metadata or Metadata(1, {})

    def predict(self, request):
        return predefined(self.outputs)

    def classify(self, request):
        return predefined(self.outputs)

    def regress(self, request):
        return predefined(self.outputs)

    def status(self):
        return list(predefined(self.statuses))

    def metadata(self):
        return predefined(self.known)

    def close(self):
        pass


def predefined(answer):
    if callable(answer):
        answer = answer()
    if isinstance(answer, Exception):
        raise answer
    return answer


def refused(code):
    return RequestError(code, "failed", "host:1")
