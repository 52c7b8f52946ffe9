"""Messages between Trove's control plane and a guest agent."""

from __future__ import annotations

import json

import pytest

from pydib.errors import EngineError
from pydib.trove import messages

KEY = "k" * 32


def test_what_was_encrypted_comes_back() -> None:
    for value in (None, True, {"a": [1, "ü"]}, "x" * 1000):
        text = messages.encrypted(value, KEY)
        assert messages.decrypted(text, KEY) == value
        assert messages.encrypted(value, KEY) != text  # another vector each time


def test_a_message_of_the_agent_itself_is_understood() -> None:
    """Recorded from trove 26.0.0's `crypto_utils`: the key `kkkk...`, the initial vector 0123456789abcdef."""
    assert messages.decrypted(RECORDED, KEY) == {"service_status": "healthy"}


RECORDED = "MDEyMzQ1Njc4OWFiY2RlZvfGSEYahNGzgjkm39P7tlxnAxDz+4kl8MrQR1h9daEq"


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", messages.encrypted({"a": 1}, "another key")])
def test_a_wrong_key_or_a_damaged_message_is_one_error(text: str) -> None:
    with pytest.raises(EngineError, match="cannot be decrypted"):
        messages.decrypted(text, KEY)


def test_a_call_is_an_envelope_with_everything_encrypted() -> None:
    body, number = messages.request("prepare", {"users": [{"_password": "secret"}]}, context={"tenant": "t-1"}, key=KEY,
                                    reply_to="reply_1")
    assert body["oslo.version"] == "2.0"
    text = str(body["oslo.message"])
    assert "secret" not in text and "t-1" not in text
    inner = json.loads(text)
    assert (inner["method"], inner["_msg_id"], inner["_reply_q"]) == ("prepare", number, "reply_1")
    assert messages.decrypted(inner["args"]["users"], KEY) == [{"_password": "secret"}]
    assert messages.decrypted(inner["_context_context"], KEY) == {"tenant": "t-1"}


def test_a_cast_expects_no_answer() -> None:
    body, number = messages.request("prepare", {}, context={}, key=KEY)
    assert number == "" and "_reply_q" not in json.loads(str(body["oslo.message"]))


def test_a_heartbeat_is_heard() -> None:
    entity = messages.encrypted({"service_status": "running"}, KEY)
    inner = {"method": "heartbeat", "args": {
        "payload": json.dumps({"csz-instance-id": "g-1", "entity": entity}), "sent": 1.5}}
    heard = messages.heard({"oslo.version": "2.0", "oslo.message": json.dumps(inner)}, KEY)
    assert heard == messages.Heard(method="heartbeat", args={"payload": {"service_status": "running"}, "sent": 1.5})


def test_answers_and_failures_are_told_apart() -> None:
    good = {"_msg_id": "n", "result": messages.encrypted(True, KEY), "failure": None, "ending": False}
    assert messages.reply(json.dumps({"oslo.message": json.dumps(good)}), KEY) == messages.Reply(
        result=True, failure="", ending=False)
    assert messages.reply_number({"oslo.message": json.dumps(good)}) == "n"
    bad = {"_msg_id": "n", "result": None, "failure": "Traceback: boom", "ending": True}
    assert messages.reply({"oslo.message": json.dumps(bad)}, KEY).failure == "Traceback: boom"


def test_something_else_is_no_message() -> None:
    with pytest.raises(EngineError, match="no message of oslo"):
        messages.heard("[1]", KEY)
