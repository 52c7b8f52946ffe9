"""The message broker between Trove's control plane and a guest agent. This plays the control plane's part.

Queues as oslo.messaging makes them: topic exchange `trove`, not durable; the conductor's queue `trove-conductor`; the
guest's `guestagent.ID`; answers come to a direct exchange and queue of one name, which the caller makes up.
"""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from pydib import clock
from pydib.errors import EngineError, RecipeError, ToolMissing
from pydib.trove import messages

try:
    import amqp
    import kombu
    from kombu.exceptions import OperationalError
except ImportError:
    raise ToolMissing("talking with a guest agent needs kombu and its companions",
                      hint="install them: pip install 'pydib[trove]'") from None

EXCHANGE = "trove"
CONDUCTOR = "trove-conductor"
_POLL_SECONDS = 0.5


class ControlPlane:
    """Trove's side of the conversation with one guest.

    Args:
        connection: to the broker.
        guest_id: the guest's number.
        key: its instance_rpc_encr_key.
        over: says, as part of a sentence, why the guest will never answer; empty as long as it may.
    """

    def __init__(self, connection: kombu.Connection, *, guest_id: str, key: str,
                 over: Callable[[], str] = lambda: "") -> None:
        self._connection = connection
        self._key = key
        self._over = over
        self._guest_queue = f"guestagent.{guest_id}"
        self._guest_id = guest_id
        self._reply_queue = f"reply_{uuid.uuid4().hex}"
        self._exchange = kombu.Exchange(EXCHANGE, type="topic", durable=False, auto_delete=False)
        self.heard: deque[messages.Heard] = deque()
        self._replies: dict[str, list[messages.Reply]] = {}
        self._context: messages.Json = {"trove_notification": {
            "notification_classname": "trove.common.notification.DBaaSInstanceCreate", "server_type": "guest",
            "request_id": f"req-{uuid.uuid4()}", "tenant_id": "pydib", "client_ip": "127.0.0.1",
            "server_ip": "127.0.0.1"}}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take in what the guest says to the conductor, and its answers, as long as the block lasts."""
        conductor = kombu.Queue(CONDUCTOR, self._exchange, routing_key=CONDUCTOR, durable=False, auto_delete=False)
        answers = kombu.Queue(self._reply_queue,
                              kombu.Exchange(self._reply_queue, type="direct", durable=False, auto_delete=True),
                              routing_key=self._reply_queue, durable=False, auto_delete=True)
        with kombu.Consumer(self._connection, queues=[conductor], callbacks=[self._on_message], accept=["json"]):
            with kombu.Consumer(self._connection, queues=[answers], callbacks=[self._on_reply], accept=["json"]):
                yield

    def wait_for_agent(self, timeout_seconds: float) -> None:
        """Wait until the agent consumes its queue. Calls sent before would pile up there.

        Raises:
            EngineError: it does not within that time.
        """
        self._wait(self._agent_consumes, timeout_seconds, "the guest agent did not come to its queue")

    def call(self, method: str, timeout_seconds: float, **args: object) -> object:
        """Call a method of the agent, and give its result.

        Raises:
            EngineError: it fails, or there is no answer in time.
        """
        body, number = messages.request(method, args, context=self._context, key=self._key,
                                        reply_to=self._reply_queue)
        answers = self._replies.setdefault(number, [])
        self._publish(body)
        self._wait(lambda: any(answer.ending or answer.failure for answer in answers), timeout_seconds,
                   f"the guest agent did not answer `{method}`")
        for answer in answers:
            if answer.failure:
                raise EngineError(f"the guest agent failed in `{method}`: {answer.failure[:2000]}")
        return next((answer.result for answer in answers if answer.result is not None), None)

    def cast(self, method: str, **args: object) -> None:
        """Call a method of the agent without an answer."""
        self._publish(messages.request(method, args, context=self._context, key=self._key)[0])

    def next_message(self, timeout_seconds: float, what: str) -> messages.Heard:
        """The next message to the conductor from this guest.

        Raises:
            EngineError: none comes in time; `what` says what was waited for, as a sentence's beginning.
        """
        self._wait(lambda: bool(self.heard), timeout_seconds, what)
        return self.heard.popleft()

    def forget_guest(self) -> None:
        """Remove the guest's queues: nobody else will use them."""
        with contextlib.suppress(OperationalError, amqp.exceptions.AMQPError, OSError):
            channel = self._connection.channel()
            for name in (self._guest_queue, f"{self._guest_queue}.{self._guest_id}"):
                channel.queue_delete(name)

    def _agent_consumes(self) -> bool:
        channel = self._connection.channel()
        try:
            return bool(channel.queue_declare(self._guest_queue, passive=True).consumer_count)
        except amqp.exceptions.NotFound:
            return False  # the broker closes the channel with that answer
        finally:
            if channel.is_open:
                channel.close()

    def _publish(self, body: Mapping[str, object]) -> None:
        with kombu.Producer(self._connection, exchange=self._exchange, routing_key=self._guest_queue,
                            serializer="json") as producer:
            producer.publish(dict(body))

    def _wait(self, is_done: Callable[[], bool], timeout_seconds: float, what: str) -> None:
        deadline = clock.monotonic() + timeout_seconds
        while not is_done():
            if reason := self._over():
                raise EngineError(f"{what}: {reason}")
            if clock.monotonic() > deadline:
                raise EngineError(f"{what} within {timeout_seconds:.0f} s")
            with contextlib.suppress(socket.timeout):
                self._connection.drain_events(timeout=_POLL_SECONDS)

    def _on_message(self, body: object, message: kombu.Message) -> None:
        message.ack()
        self.heard.append(messages.heard(body, self._key))

    def _on_reply(self, body: object, message: kombu.Message) -> None:
        message.ack()
        self._replies.setdefault(messages.reply_number(body), []).append(messages.reply(body, self._key))


def _is_broker(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("rabbit", "amqp", "amqps") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # what stands for the port is no number
        return False


@contextmanager
def connected(url: str) -> Iterator[kombu.Connection]:
    """A connection to the broker at `url`, as oslo.messaging writes it: `rabbit://USER:PASSWORD@HOST:PORT/`.

    Raises:
        RecipeError: that is no such URL.
        EngineError: the broker is not reachable.
    """
    shown = url.rpartition("@")[2]
    if not _is_broker(url):
        raise RecipeError(f"{shown!r} names no message broker", where="--broker",
                          hint="for example --broker rabbit://USER:PASSWORD@127.0.0.1:5672/")
    connection = kombu.Connection(url.replace("rabbit://", "amqp://", 1), connect_timeout=10)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0.5)
    except (OperationalError, OSError) as problem:
        raise EngineError(f"the broker cannot be reached: {problem}", where=f"--broker {shown}",
                          hint="start it, or leave --broker out: a RabbitMQ of our own is used where it is installed"
                          ) from None
    with connection:
        yield connection
