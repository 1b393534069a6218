"""Real mail programs against one running Barid. A program that is not installed skips its tests with its name."""
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import server as lib  # noqa: E402

# What a client must not change: UTF-8 and 8-bit text, dots at the beginning of a line, a long line, blanks at a line's end, no text at all.
BODIES = {
    "plain": "Hello,\r\n\r\nall well here.\r\n",
    "dots": ".\r\n..\r\n.dot\r\n\r\n.\r\nlast\r\n",
    "arabic": "مرحبًا\r\n\r\nهذه رسالة قصيرة.\r\n",
    "long": "x" * 900 + "\r\nend\r\n",
    "blanks": "trailing \r\n\ttab\t\r\n\r\n\r\n\r\nFrom the start\r\n",
    "empty": "",
}


def message(sender, to, kind="plain", number=1):
    """Bytes of a message with all that a client might otherwise add."""
    return (f"Date: Wed, 25 Nov 2026 04:45:{number % 60:02} +0000\r\nFrom: {sender}\r\nTo: {to}\r\n"
            f"Subject: {kind} {number}\r\nMessage-ID: <{kind}.{number}.{time.time_ns()}@client.test>\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            f"{BODIES[kind]}").encode()


def messages(sender, to):
    return [message(sender, to, kind, n) for n, kind in enumerate(BODIES, 1)]


def need(program):
    path = lib.have(program)
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


def arrived(server, user, count, mailbox="INBOX", timeout=20):
    """Bodies of a mailbox in UID order, when there are `count` of them."""
    deadline = time.monotonic() + timeout
    while True:
        got = server.bodies(user, mailbox)
        if len(got) >= count or time.monotonic() > deadline:
            assert len(got) == count, f"{len(got)} messages in {mailbox}, wanted {count}"
            return [got[uid] for uid in sorted(got)]
        time.sleep(0.05)


def assert_same_with_trace(got, sent):
    """Delivered bytes are the sent ones with trace fields before them, each message once, in any order."""
    left = list(got)
    for m in sent:
        fit = [g for g in left if g.endswith(m)]
        assert fit, f"not there byte for byte: {m[:400]!r}\nthere is: {[g[:600] for g in left]!r}"
        trace = fit[0][:-len(m)]
        assert trace.startswith(b"Return-Path: <") and b"Received: " in trace, trace
        left.remove(fit[0])
    assert not left


@pytest.fixture(scope="session")
def server():
    with lib.Server() as running:
        yield running


@pytest.fixture
def user(server):
    return server.user("salma")


@pytest.fixture
def other(server):
    return server.user("omar")
