"""A client that needs no server: it answers what it was told."""

from tfrs_pretrain.serving.client import Client, Metadata, Model, RequestError


class FakeClient(Client):
    """Answers with fixed outputs, statuses and metadata; an exception among them is raised."""

    def __init__(self, outputs=None, statuses=(), metadata=None):
        super().__init__("host:1", Model("m"))
        self.outputs, self.statuses, self.known = outputs, statuses, metadata or Metadata(1, {})

    def predict(self, request):
        return told(self.outputs)

    def classify(self, request):
        return told(self.outputs)

    def regress(self, request):
        return told(self.outputs)

    def status(self):
        return list(told(self.statuses))

    def metadata(self):
        return told(self.known)

    def close(self):
        pass


def told(answer):
    if callable(answer):
        answer = answer()
    if isinstance(answer, Exception):
        raise answer
    return answer


def refused(code):
    return RequestError(code, "told so", "host:1")
