"""POP3 with arguments nobody needs, lost QUITs, dots, and UIDs that outlive everything."""
import re

import pytest

import raw
import server as lib


def pop(server, user):
    return raw.Pop(server.port("pop3"), user)


def uids(session):
    session.command("UIDL")
    return session.body()


def test_arguments_out_of_range(server, user):
    server.deliver(user, b"Subject: one\r\n\r\ntext\r\n")
    session = pop(server, user)
    wrong = ["0", "2", "-1", "+1", "1x", "2147483648", "4294967297", "18446744073709551617", "9" * 200, "é"]
    for verb in ("LIST", "UIDL", "RETR", "DELE"):
        for argument in wrong:
            with pytest.raises(raw.Refused):
                session.command(f"{verb} {argument}")
    for argument in ("1", "1 -1", "1 x", "2 0", "1 18446744073709551616", "1 1 1"):
        with pytest.raises(raw.Refused):
            session.command("TOP " + argument)
    session.command("TOP 1 4294967295")
    assert session.body().endswith(b"Subject: one\r\n\r\ntext\r\n")
    with pytest.raises(raw.Refused):
        session.command("UIDL " + "1" * 240)
    session.send(b"UIDL " + b"1" * 10000 + b"\r\n")
    assert session.line().startswith(b"-ERR")
    session.close()


def test_after_dele_the_message_is_away_and_a_lost_quit_brings_it_back(server, user):
    for i in range(3):
        server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
    for ending in ("DELE 1", "NOOP", "STAT", "LIST", "RETR 2", "RSET", "QUI"):
        session = pop(server, user)
        assert session.command("STAT").startswith(b"+OK 3 ")
        session.command("DELE 1")
        session.command("DELE 2")
        for command in ("RETR 1", "TOP 1 0", "LIST 1", "UIDL 1", "DELE 1"):
            with pytest.raises(raw.Refused):
                session.command(command)
        session.send(ending.encode() + (b"" if ending == "QUI" else b"\r\n"))
        session.close()
    first, second = pop(server, user), pop(server, user)  # each has a list of its own
    first.command("DELE 1")
    first.command("QUIT")
    assert second.command("STAT").startswith(b"+OK 3 ")
    second.command("DELE 1")  # gone already: no fault
    second.command("DELE 2")
    second.command("QUIT")
    third = pop(server, user)
    assert third.command("STAT").startswith(b"+OK 1 ")
    third.command("TOP 1 0")
    assert b"Subject: 2\r\n" in third.body()
    for session in (first, second, third):
        session.close()


@pytest.mark.parametrize("edge", [65500, 65536, 131072])
def test_dots_at_the_edges_of_what_is_read_at_once(server, user, edge):
    text = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n"
    text += b"y" * 76 + b"\r\n"
    while len(text) < edge - 100:
        text += b"z" * 58 + b"\r\n"
    for shift in range(40):  # a line with a dot begins at every place around the edge
        text += b"." * (1 + shift % 3) + b"q" * (shift % 5) + b"\r\n"
    text += b"\r\n.\r\n"
    with server.imap(user) as c:
        assert c.append("INBOX", None, None, text)[0] == "OK"
    session = pop(server, user)
    session.command("RETR 1")
    assert session.body() == text
    for lines in (0, 1, 2, 3, 10):
        session.command(f"TOP 1 {lines}")
        assert session.body() == b"".join(line + b"\r\n" for line in text.split(b"\r\n")[:2 + lines])
    session.close()


def test_uids_outlive_restart_kill_rebuild_and_fsck():
    with lib.Server() as server:
        user = server.user()
        for i in range(5):
            server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
        session = pop(server, user)
        before = uids(session)
        assert len(set(re.findall(rb"\d+ (\S+)\r\n", before))) == 5
        session.close()
        assert server.stop() == 0
        server.start()
        server.deliver(user, b"Subject: later\r\n\r\ntext\r\n")
        server.kill()
        server.start()
        server.run("rebuild", user.address)
        server.run("fsck", user.address, "--repair")
        session = pop(server, user)
        after = uids(session)
        assert after.startswith(before) and after.count(b"\r\n") == 6
        session.close()
        with server.imap(user) as c:  # and a move away and back
            c.select("INBOX")
            c.create("away")
            assert c.uid("MOVE", "1:6", "away")[0] == "OK"
            c.select("away")
            assert c.uid("MOVE", "1:6", "INBOX")[0] == "OK"
        session = pop(server, user)
        assert uids(session) == after
        session.close()


