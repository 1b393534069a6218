"""Hostile input against one running Barid: after each test it must be alive, small, and serve somebody else."""
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
import server as lib  # noqa: E402

GROWTH_KIB_MAX = 64 << 10  # what no input may cost
PLAIN = ["imap", "pop3", "smtp", "submission", "lmtp"]


class Wire(raw.Raw):
    """A connection after its greeting."""

    def __init__(self, port, tls=None):
        super().__init__(port, tls)
        self.greeting = self.line()

    def ask(self, text):
        """One line sent, one line back."""
        self.send((text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.line().decode("utf-8", "replace")

    def hello(self, verb="EHLO"):
        """SMTP's first step. Returns the last line of the answer."""
        self.send(f"{verb} client.test\r\n".encode())
        return self.lines_until(r"250 ")[-1]

    def lines_until(self, pattern):
        """Lines up to one that matches, with it."""
        lines = []
        while not lines or not re.match(pattern, lines[-1]):
            lines.append(self.line().decode("utf-8", "replace"))
        return lines

    def rest(self):
        """All that comes until the server closes; an abortive close counts."""
        got = b""
        while True:
            try:
                piece = self.sock.recv(1 << 16)
            except ConnectionResetError:
                return got
            if not piece:
                return got
            got += piece

    def send_all_or_closed(self, data):
        """The server may close before it has taken everything."""
        try:
            self.send(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False


@pytest.fixture(scope="session")
def shared_server():
    with lib.Server({"limits.message_bytes": "1M"}) as running:
        running.bystander = running.user("noor")
        yield running


@pytest.fixture
def server(shared_server):
    # sanitizers keep what is freed for a while: their figure says nothing
    sanitized = re.search(r"asan|tsan", shared_server.barid) is not None
    before = shared_server.memory_kib()
    yield shared_server
    assert shared_server.alive(), shared_server.log_tail()
    with shared_server.imap(shared_server.bystander) as c:
        assert c.select("INBOX")[0] == "OK"
    if not sanitized:
        assert shared_server.memory_kib() - before < GROWTH_KIB_MAX


@pytest.fixture
def user(server):
    return server.user("salma")


@pytest.fixture
def connect(server):
    """connect("imap"): a connection after its greeting, closed at the end."""
    opened = []

    def one(name):
        opened.append(Wire(server.port(name), server.tls() if lib.LISTENERS[name] else None))
        return opened[-1]
    yield one
    for wire in opened:
        wire.close()


@pytest.fixture
def logged_in(server, user):
    """logged_in(): an IMAP session of the user with INBOX selected."""
    opened = []

    def one():
        opened.append(raw.Imap(server.port("imap"), user))
        opened[-1].command("SELECT INBOX")
        return opened[-1]
    yield one
    for session in opened:
        session.close()


