"""POP3 with arguments nobody needs, lost QUITs, dots, and UIDs that outlive everything."""
import random
import re
import socket
import time

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


def test_uids_outlive_a_restore(tmp_path):
    with lib.Server() as server:
        user = server.user()
        for i in range(3):
            server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
        session = pop(server, user)
        before = uids(session)
        session.close()
        server.run("backup", str(tmp_path / "backup"))
        with server.imap(user) as c:
            c.select("INBOX")
            c.store("1:*", "+FLAGS", r"(\Deleted)")
            c.expunge()
        session = pop(server, user)
        assert uids(session) == b""
        session.close()
        server.run("restore", str(tmp_path / "backup"), user.address)
        session = pop(server, user)
        assert sorted(re.findall(rb"\d+ (\S+)\r\n", uids(session))) == sorted(re.findall(rb"\d+ (\S+)\r\n", before))
        session.close()


@pytest.mark.parametrize("line", [b"APOP salma\0@barid.test c4c9334bac560ecc979e58001b3e22fb", b"APOP \0", b"APOP", b"AP\0OP x y",
                                  b"USER sal\0ma", b"AUTH PLAIN \0", b"LANG \0", b"LANG " + b"a-" * 100, b"UTF8 \0"])
def test_apop_is_not_there_and_a_nul_is_in_no_line(connect, line):
    wire = connect("pop3")
    assert wire.ask(line).startswith("-ERR ")
    assert wire.ask("CAPA").startswith("+OK ")


def test_ten_thousand_commands_at_once(server, user):
    """RFC 2449 §6.6: sent in one go, nobody reads; then somebody reads, slowly at first. Each answer in its place."""
    messages = [b"Subject: %d\r\n\r\n" % i + b"".join(b"." * (j % 3) + b"line %d\r\n" % j for j in range(i * 20))
                for i in range(20)]
    for message in messages:
        server.append(user, message)
    session = pop(server, user)
    names = re.findall(rb"\d+ (\S+)\r\n", uids(session))
    dice = random.Random("ten thousand")
    deleted, commands, wanted = set(), [], []

    def lines(data):
        return re.sub(rb"(?m)^\.", b"..", data) + b".\r\n"

    def one():
        n = dice.randrange(22)
        there = n < 20 and n not in deleted
        verb = dice.choice(["RETR", "RETR", "TOP", "LIST", "UIDL", "NOOP", "DELE", "RSET", "STAT", "all", "bad"])
        if verb in ("NOOP", "RSET"):
            if verb == "RSET":
                deleted.clear()
            return verb, b"+OK ", b""
        left = [i for i in range(20) if i not in deleted]
        if verb == "STAT":
            return verb, b"+OK %d %d\r\n" % (len(left), sum(len(messages[i]) for i in left)), b""
        if verb == "all":
            return "UIDL", b"+OK ", b"".join(b"%d %s\r\n" % (i + 1, names[i]) for i in left) + b".\r\n"
        if verb == "bad" and len([c for c in commands if c.startswith(b"X")]) < 40:
            return "XRETR 1", b"-ERR ", b""
        if not there or verb == "bad":
            return f"{'RETR' if verb in ('bad', 'TOP') else verb} {n + 1 if not there else 99}", b"-ERR ", b""
        if verb == "DELE":
            deleted.add(n)
            return f"DELE {n + 1}", b"+OK ", b""
        if verb == "RETR":
            return f"RETR {n + 1}", b"+OK %d octets\r\n" % len(messages[n]), lines(messages[n])
        if verb == "TOP":
            count = dice.randrange(50)
            head, body = messages[n].split(b"\r\n\r\n", 1)
            kept = b"".join(line + b"\r\n" for line in body.split(b"\r\n")[:-1][:count])
            return f"TOP {n + 1} {count}", b"+OK ", lines(head + b"\r\n\r\n" + kept)
        return f"{verb} {n + 1}", b"+OK %d " % (n + 1) + (names[n] if verb == "UIDL" else b"%d" % len(messages[n])) + b"\r\n", b""

    while len(commands) < 10000:
        text, *answer = one()  # the command, how its first answer line begins, what comes after that line
        commands.append(text.encode() + b"\r\n")
        wanted.append(answer)
    commands += [b"RSET\r\n", b"QUIT\r\n"]
    wanted += [(b"+OK ", b"")] * 2
    session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    before = server.memory_kib()
    session.send(b"".join(commands))
    time.sleep(0.5)
    got, grown = bytearray(), 0
    while piece := session.sock.recv(1 << 14 if len(got) < 1 << 20 else 1 << 18):
        got += piece
        if len(got) < 1 << 20:
            time.sleep(0.01)
            grown = max(grown, server.memory_kib() - before)
    at = 0
    for command, (first, rest) in zip(commands, wanted):
        end = got.index(b"\r\n", at) + 2
        assert got.startswith(first, at) and got.startswith(rest, end), (command, bytes(got[at:at + 200]), first, rest[:200])
        at = end + len(rest)
    assert at == len(got)
    if not re.search(r"asan|tsan", server.barid):
        assert grown < 8 << 10, "answers that nobody takes are no memory"
    session.close()
