"""The real push to the model server, through a connection that can fail, on a clock that does not wait."""

import contextlib
import dataclasses

from faults import KilledError
from invariants import require
from model_server import ModelServer

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import RequestError
from tfrs_pretrain.serving.live.push_secret import read_key
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA
from tfrs_pretrain.serving.pushing import push, sender

GRACE, REQUEST_SECONDS = 2.0, 0.3
LOST, UNREACHABLE, RESTART, KILLED, SECOND = FAULTS = (
    "answer lost", "server unreachable", "server restarted", "pusher killed", "second pusher")


class Clock:
    """Stands for ``time`` in the sender."""

    now = 0.0

    @classmethod
    def monotonic(cls):
        return cls.now

    @classmethod
    def sleep(cls, seconds):
        cls.now += seconds


@dataclasses.dataclass
class Connection:
    """What happens to the requests of one pusher.

    Attributes:
      server: the model server.
      fault: one of ``FAULTS``, or None.
      at: number of the request that meets it; of a lost answer, the first request that may.
      second: pushes everything.
      requests: number of requests.
      reader: (end, epoch, content) of a request that another client sent; it ends within the grace period.
    """

    server: ModelServer
    fault: str | None = None
    at: int = 0
    second: object = None
    requests: int = 0
    reader: tuple | None = None

    def predict(self, version, request):
        """Sends a request."""
        self.requests += 1
        Clock.now += REQUEST_SECONDS
        fault = self._fault(request)
        if fault == UNREACHABLE:
            raise RequestError("UNAVAILABLE", "connection refused", self.server.address)
        if fault == RESTART:
            self.server.restart()
            self.reader = None
        if fault == SECOND:
            self.second()
        self._read(self.server.loaded[version])
        answer = self.server.predict(version, request)
        self._read(self.server.loaded[version])
        if fault == KILLED:
            raise KilledError
        if fault == LOST:
            raise RequestError("UNAVAILABLE", "connection reset", self.server.address)
        return answer

    def _fault(self, request):
        if self.fault != LOST:
            return self.fault if self.requests == self.at else None
        applies = request.signature == APPLY_DELTA and (
            request.inputs["predecessor"].item() != request.inputs["successor"].item())
        if self.requests < self.at or not applies:
            return None
        self.fault = None
        return LOST

    def _read(self, loaded):
        """Lets a request read its rows late: it must see what it would have seen at once."""
        if self.reader and Clock.now < self.reader[0]:
            _, epoch, content = self.reader
            require(loaded.seen(epoch).content() == content, "no torn read", f"epoch {epoch} is seen with later rows")
        else:
            self.reader = (Clock.now + GRACE, loaded.model.epoch, loaded.content())


class Client:
    """Stands for ``GrpcClient``; its address is a connection."""

    def __init__(self, connection, model, *, timeout):
        self._connection, self._version = connection, model.version

    def predict(self, request):
        return self._connection.predict(self._version, request)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def install():
    """Connects the product's push to the stand-ins."""
    push.GrpcClient, sender.time = Client, Clock
    push.Sender = lambda client, key, grace: sender.Sender(client, key, grace, Clock.sleep)


def send(server, base, secret):
    """Pushes; all golden requests must be answered as expected, and no earlier row may stay in the server's memory."""
    result = push.push(Connection(server), base, read_key(secret), grace=GRACE)
    require(result.passed, "a push is verified", lambda: f"{[check for check in result.checks if not check.passed]}")
    remains = server.loaded[int(base.name)].model.remains()
    require(not remains, "no old row in the server's memory", lambda: f"{remains}")


def send_under_fault(server, base, secret, fault, at):
    """Pushes under a fault; only a lost answer must be got over. Returns the connection."""
    connection = Connection(server, fault, at, lambda: send(server, base, secret))
    refusals = () if fault == LOST else (KilledError, UserError)
    with contextlib.suppress(*refusals):
        push.push(connection, base, read_key(secret), grace=GRACE)
    return connection
