"""A login that is held back between its proof and its last line is not let in when something was changed meanwhile."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
from server import Server  # noqa: E402


def proven(server, user):
    """A session whose proof was accepted, and what ends the exchange."""
    c, scram = raw.Imap(server.port("imap")), raw.Scram(user)
    tag = c.start("AUTHENTICATE SCRAM-SHA-256 " + scram.first)
    c.send(scram.final(c.sasl_challenge(tag)).encode() + b"\r\n")
    scram.check(c.sasl_challenge(tag))

    def end():
        c.send(b"\r\n")
        c.finish(tag)
        c.command("SELECT INBOX")

    return end


CHANGES = {
    "password": lambda server, user: server.run("passwd", user.address, "--password-file", "-", stdin=b"another one 9\n"),
    "disabled": lambda server, user: server.run("user", "disable", user.address),
    "service": lambda server, user: server.run("user", "set", user.address, "--imap", "off"),
    "removed": lambda server, user: server.run("user", "remove", user.address, "--yes"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_meanwhile_counts(change):
    with Server() as server:
        user, other = server.user(), server.user()
        held, kept = proven(server, user), proven(server, other)
        CHANGES[change](server, user)
        with pytest.raises((raw.Refused, ConnectionError, OSError)):
            held()
        kept()
        folders = os.listdir(os.path.join(server.data, "accounts"))
        assert len(folders) == 1, "a folder of its own for somebody who is not let in"
