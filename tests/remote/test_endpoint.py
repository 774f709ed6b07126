"""Faults of a network never become answers, and what cannot get better stops at once."""

from __future__ import annotations

import time

import pytest
from endpoints import FAULTS, serving
from stand_in import StandIn

from crosslift.errors import EndpointError
from crosslift.remote import endpoint
from crosslift.remote.endpoint import CompletionRequest, Endpoint, FailedRequest, Reply, send_requests

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INITIAL_BACKOFF_SECONDS", 0.01)


def asked(place: Endpoint, num: int) -> dict[int, Reply | FailedRequest]:
    found: dict[int, Reply | FailedRequest] = {}
    questions = [
        CompletionRequest(messages=[{"role": "user", "content": f"text {n}"}], max_tokens=5) for n in range(num)
    ]
    send_requests(place, questions, found.__setitem__)
    return found


def test_every_question_is_answered_once_whatever_the_network_does():
    with serving(str.upper, fault_every=4) as server:
        found = asked(Endpoint(base_url=server.base_url, model="m", timeout_seconds=0.5), 60)
    assert {place: reply.text for place, reply in found.items()} == {n: f"TEXT {n}" for n in range(60)}
    assert set(server.faults) == set(FAULTS)
    assert max(server.asked.values()) == 1


def test_what_never_works_is_given_up_with_its_reason():
    with serving(str.upper, fault_every=1) as server:
        found = asked(Endpoint(base_url=server.base_url, model="m", max_attempts=2, timeout_seconds=0.5), 3)
    assert all(isinstance(reply, FailedRequest) and "2 attempts failed" in reply.reason for reply in found.values())


def test_a_wrong_key_stops_everything_and_stands_in_no_message(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOY_KEY", "secret-wrong")
    with serving(str.upper, key="secret-right") as server:
        place = Endpoint(base_url=server.base_url, model="m", key_variable="TOY_KEY")
        with pytest.raises(EndpointError, match="TOY_KEY") as caught:
            asked(place, 50)
        assert "secret" not in str(caught.value)
        assert not server.asked
        monkeypatch.setenv("TOY_KEY", "secret-right")
        assert len(asked(place, 3)) == 3


def test_replies_that_are_under_way_when_a_key_expires_are_not_lost():
    def slow(text: str) -> str:
        time.sleep(0.05)
        return text

    found: dict[int, Reply | FailedRequest] = {}
    questions = [
        CompletionRequest(messages=[{"role": "user", "content": f"text {n}"}], max_tokens=5) for n in range(50)
    ]
    with serving(slow, server=StandIn) as server:
        server.dies_after = 20
        with pytest.raises(EndpointError, match="credit"):
            send_requests(Endpoint(base_url=server.base_url, model="m"), questions, found.__setitem__)
        assert {f"text {place}" for place in found} == set(server.asked) and len(found) < 50
    assert all(isinstance(reply, Reply) for reply in found.values())


def test_plain_prompts_go_to_completions():
    found: dict[int, Reply | FailedRequest] = {}
    with serving(lambda prompt: f"<{prompt}>") as server:
        place = Endpoint(base_url=server.base_url, model="m")
        send_requests(
            place,
            [CompletionRequest(prompt="a", max_tokens=1), CompletionRequest(prompt=[1, 2], max_tokens=1)],
            found.__setitem__,
        )
    assert [found[0].text, found[1].text] == ["<a>", "<[1, 2]>"]
