"""The conversation with a guest agent, over a real RabbitMQ. The agent's part is played by a consumer of its queue."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import kombu
import pytest

from pydib import clock
from pydib.errors import EngineError, RecipeError
from pydib.trove import messages, rabbitmq
from pydib.trove.broker import ControlPlane, connected

pytestmark = pytest.mark.skipif(not rabbitmq.is_installed(), reason="rabbitmq-server is not installed")
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with rabbitmq.started() as made:
        yield made


class Agent(threading.Thread):
    """Answers calls of `rpc_ping` and `fails`, and has its heart beat after `prepare`."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.ends = threading.Event()

    def run(self) -> None:
        with connected(self.url) as connection:
            exchange = kombu.Exchange("trove", type="topic", durable=False)
            queue = kombu.Queue("guestagent.g-1", exchange, routing_key="guestagent.g-1", durable=False)
            self.connection, self.exchange = connection, exchange
            with kombu.Consumer(connection, queues=[queue], callbacks=[self.answer], accept=["json"]):
                while not self.ends.is_set():
                    try:
                        connection.drain_events(timeout=0.1)
                    except TimeoutError:
                        continue

    def answer(self, body: dict[str, str], message: kombu.Message) -> None:
        message.ack()
        inner = json.loads(body["oslo.message"])
        if inner["method"] == "prepare":
            payload = {"csz-instance-id": "g-1", "entity": messages.encrypted({"service_status": "healthy"}, KEY)}
            heartbeat = {"method": "heartbeat", "args": {"payload": json.dumps(payload)}}
            self.send("trove-conductor", self.exchange, heartbeat)
            return
        failure = "ValueError: no" if inner["method"] == "fails" else None
        result = None if failure else messages.encrypted(True, KEY)
        reply_exchange = kombu.Exchange(inner["_reply_q"], type="direct", durable=False, auto_delete=True)
        for answer in ({"result": result, "failure": failure, "ending": False}, {"result": None, "ending": True}):
            self.send(inner["_reply_q"], reply_exchange, {"_msg_id": inner["_msg_id"], **answer})

    def send(self, key: str, exchange: kombu.Exchange, inner: dict[str, object]) -> None:
        with kombu.Producer(self.connection, exchange=exchange, routing_key=key, serializer="json") as producer:
            producer.publish({"oslo.version": "2.0", "oslo.message": json.dumps(inner)})


@pytest.fixture
def plane(url: str) -> Iterator[ControlPlane]:
    agent = Agent(url)
    with connected(url) as connection:
        made = ControlPlane(connection, guest_id="g-1", key=KEY)
        with made.listening():
            agent.start()
            made.wait_for_agent(20)
            yield made
        agent.ends.set()
        agent.join(20)
        made.forget_guest()


def test_a_call_gets_its_answer(plane: ControlPlane) -> None:
    assert plane.call("rpc_ping", 20) is True


def test_a_failure_of_the_agent_is_told(plane: ControlPlane) -> None:
    with pytest.raises(EngineError, match=r"failed in `fails`: ValueError: no"):
        plane.call("fails", 20)


def test_heartbeats_are_heard_in_clear(plane: ControlPlane) -> None:
    plane.cast("prepare", users=[])
    heard = plane.next_message(20, "no heartbeat came")
    assert (heard.method, heard.args) == ("heartbeat", {"payload": {"service_status": "healthy"}})


def test_an_agent_that_does_not_come_is_not_waited_for_beyond_its_end(url: str) -> None:
    with connected(url) as connection:
        silent = ControlPlane(connection, guest_id="g-2", key=KEY, over=lambda: "its kernel panicked")
        with silent.listening(), pytest.raises(EngineError, match="did not come to its queue: its kernel panicked"):
            silent.wait_for_agent(60)
        waiting = ControlPlane(connection, guest_id="g-2", key=KEY)
        with waiting.listening(), pytest.raises(EngineError, match="did not come to its queue within 1 s"):
            waiting.wait_for_agent(1)


def test_a_broker_that_is_not_there_is_one_message_without_its_password() -> None:
    with pytest.raises(EngineError) as caught, connected("rabbit://u:secret@127.0.0.1:1/"):
        pass
    assert "--broker 127.0.0.1:1/" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "http://x", "rabbit://u:secret@127.0.0.1:port/", "rabbit:///", ""])
def test_what_is_no_broker_is_one_message(url: str) -> None:
    with pytest.raises(RecipeError, match="names no message broker") as caught, connected(url):
        pass
    assert "secret" not in str(caught.value)


def test_nothing_of_it_stays(url: str) -> None:
    with rabbitmq.started() as second:
        assert second != url
        port = int(second.rpartition(":")[2].strip("/"))
        assert listens(port)
    deadline = clock.monotonic() + 10  # it was killed; the kernel takes its sockets away a moment later
    while listens(port):
        assert clock.monotonic() < deadline


def listens(port: int) -> bool:
    """Whether anybody accepts connections at that port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
