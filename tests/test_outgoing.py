"""Requests that we make of others end, however slowly they answer; real ones, over loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import httpx
import pytest

from app.exchange.port import StoreDown
from app.exchange.remote import HTTPStore
from app.ledger.note import NoteSigner
from app.ledger.policy import parse_policy
from app.ledger.witnessclient import WitnessClient, WitnessFailed
from app.outgoing import new_client
from app.oversight import hookclient
from app.oversight.hookclient import Undeliverable
from tests.fakes import FakeClock
from tests.ledger.peers import Peer

DEADLINE_S = 0.5
PAUSE_S = 0.05
# Far behind the deadline of a busy machine, and an end for who would wait for ever.
MOST_S = 8.0

Behave = Callable[[socket.socket], object]


def drip_header(other: socket.socket) -> None:
    other.recv(65_536)
    other.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(other, b"a")


def drip_body(other: socket.socket) -> None:
    other.recv(65_536)
    other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    drip(other, b"a")


def say_wait_for_ever(other: socket.socket) -> None:
    other.recv(65_536)
    drip(other, b"HTTP/1.1 102 Processing\r\n\r\n")


def take_by_drops(other: socket.socket) -> None:
    until = time.monotonic() + MOST_S
    while time.monotonic() < until and other.recv(1):
        time.sleep(PAUSE_S)


def drip(other: socket.socket, part: bytes) -> None:
    until = time.monotonic() + MOST_S
    while time.monotonic() < until:
        other.sendall(part)
        time.sleep(PAUSE_S)


@contextmanager
def slow_server(behave: Behave) -> Iterator[str]:
    """Yields the address of a server that treats every caller like this."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

        def serve(other: socket.socket) -> None:
            with other, suppress(OSError):  # who asked has left
                behave(other)

        def accept() -> None:
            while True:
                try:
                    other, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(other,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()


def ends_in_time(call: Callable[[], object], error: type[Exception], match: str) -> None:
    begun = time.monotonic()
    with pytest.raises(error, match=match):
        call()
    assert time.monotonic() - begun < MOST_S - 2


@pytest.mark.parametrize("behave", [drip_header, drip_body, say_wait_for_ever, take_by_drops])
def test_a_request_ends_at_its_deadline_whatever_the_other_side_does(behave):
    content = b"x" * (16_000_000 if behave is take_by_drops else 10)
    with slow_server(behave) as url, new_client() as http:
        ends_in_time(
            lambda: http.post(
                url, content=content, timeout=1.0, extensions={"deadline_s": DEADLINE_S}
            ).read(),
            httpx.TimeoutException,
            "took too long|timed out",
        )


def test_a_connection_that_is_used_again_has_the_next_request_s_time():
    peer = Peer("witness.test/w", 41, lambda *_: (200, {}, b"well"))
    with closing(peer), new_client() as http:
        for _ in range(3):
            answer = http.get(peer.url, extensions={"deadline_s": 5.0})
            assert answer.content == b"well"
            stream = answer.extensions["network_stream"]
            assert stream.get_extra_info("server_addr")[1] == httpx.URL(peer.url).port
            time.sleep(0.02)


@pytest.mark.parametrize("behave", [drip_header, drip_body])
def test_a_webhook_and_the_file_of_a_domain_hold_nobody_up(behave, monkeypatch):
    monkeypatch.setattr(hookclient, "DEADLINE_S", DEADLINE_S)
    with slow_server(behave) as url, hookclient.new_client() as http:
        ends_in_time(
            lambda: hookclient.fetch(http, url, private=True, most=4_096), Undeliverable, "Timeout"
        )
        if behave is drip_header:  # a webhook's answer has no body for us
            ends_in_time(
                lambda: hookclient.send(
                    http, url, secret=b"s", message_id="m", timestamp_s=1, body=b"{}", private=True
                ),
                Undeliverable,
                "Timeout",
            )


@pytest.mark.parametrize("behave", [drip_header, drip_body])
def test_a_credit_store_holds_nobody_up(behave):
    signer = NoteSigner("suxin.test/credit", b"c" * 32)
    with slow_server(behave) as url:
        store = HTTPStore(url, signer, clock=FakeClock(), timeout_s=DEADLINE_S)
        with closing(store):
            ends_in_time(lambda: store.list_received(None), StoreDown, "timed_out")


@pytest.mark.parametrize("behave", [drip_header, drip_body])
def test_a_witness_holds_nobody_up(behave):
    log_key = NoteSigner("suxin.test/log", b"l" * 32).vkey
    peer = Peer("witness.test/w", 41)
    key = peer.signer.vkey
    peer.close()
    with slow_server(behave) as url, new_client() as http:
        policy = parse_policy(f"witness w {key} {url}\nquorum w\n".encode())
        client = WitnessClient(policy.witnesses[0], http, timeout_s=DEADLINE_S)
        ends_in_time(
            lambda: client.last_seen(log_key, timeout_s=DEADLINE_S), WitnessFailed, "timed_out"
        )
