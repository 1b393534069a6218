"""Mail with UTF-8 in its headers (RFC 6532) for programs that know it (RFC 6856) and for those that do not (RFC 6858)."""
import base64
import contextlib
import email
import email.policy
import json
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
import server as lib  # noqa: E402

INVALID = "invalid@internationalized-address.invalid"
PLAIN = b"From: a@example.org\r\nSubject: plain\r\n\r\nbody \xc3\xa9\r\n.\r\n"
EAI = (
    "From: سلمى <سلمى@بريد.إختبار>\r\nTo: Omar <omar@example.org>, نور <noor@example.org>\r\n"
    "Subject: تقرير اليوم\r\nMessage-ID: <1@example.org>\r\nReceived: from é by example.org; Wed, 25 Nov 2026 04:45:00 +0000\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nنص الرسالة\r\n.\r\n"
    "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"تقرير.txt\"\r\n\r\none\r\ntwo\r\n"
    "--b--\r\n").encode()


@pytest.fixture(scope="module")
def server():
    with lib.Server() as s:
        yield s


class Pop(raw.Pop):
    def __init__(self, server, user, *before):
        super().__init__(server.port("pop3"), user, before=before)

    def whole(self, command):
        self.command(command)
        return self.body()

    def sizes(self):
        return [int(line.split()[1]) for line in self.whole("LIST").splitlines()]


def check_surrogate(got, original):
    head, body = got.split(b"\r\n\r\n", 1)
    assert head.isascii()
    read = email.message_from_bytes(got, policy=email.policy.default)
    assert read["Subject"] == "تقرير اليوم"
    assert read["Message-ID"] == "<1@example.org>" and read["Received"] is None
    assert [(a.display_name, a.addr_spec) for a in read["To"].addresses] == [
        ("Omar", "omar@example.org"), ("نور", "noor@example.org")]
    sender, = read["From"].addresses
    assert sender.addr_spec == INVALID and "سلمى@بريد.إختبار" in sender.display_name
    text, attachment = read.iter_parts()
    assert attachment.get_filename() == "تقرير.txt"
    assert attachment.get_content().split() == ["one", "two"]
    assert text.get_content().split() == ["نص", "الرسالة", "."]
    assert body.startswith(original.split(b"\r\n\r\n", 1)[1].split(b"; filename")[0])


def test_both_kinds_of_session(server):
    user = server.user()
    for message in (PLAIN, EAI, PLAIN):
        server.append(user, message)
    with contextlib.closing(Pop(server, user)) as old, contextlib.closing(Pop(server, user, "UTF8")) as new:
        surrogate = old.whole("RETR 2")
        check_surrogate(surrogate, EAI)
        assert old.sizes() == [len(PLAIN), len(surrogate), len(PLAIN)]
        assert old.command("STAT") == b"+OK 3 %d" % (2 * len(PLAIN) + len(surrogate))
        assert old.command("RETR 2") == b"+OK %d octets" % len(surrogate)
        assert old.body() == surrogate
        assert new.whole("RETR 2") == EAI
        assert new.sizes() == [len(PLAIN), len(EAI), len(PLAIN)]
        assert new.command("STAT") == b"+OK 3 %d" % (2 * len(PLAIN) + len(EAI))
        for session in (old, new):
            assert session.whole("RETR 1") == session.whole("RETR 3") == PLAIN
        assert old.whole("UIDL") == new.whole("UIDL")
        # the lines of TOP are those of the surrogate (RFC 6858 §4)
        header, body = surrogate.split(b"\r\n\r\n", 1)
        lines = body.split(b"\r\n")[:-1]
        for count in (0, 1, 3, len(lines) - 1, len(lines), len(lines) + 1, 1 << 31):
            assert old.whole(f"TOP 2 {count}") == header + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in lines[:count])
        # nothing else of the messages is changed by having been downgraded
        assert server.bodies(user)[2] == EAI


@pytest.mark.parametrize("size", [65536 - len(EAI), 65530, 200000, 1000000])
def test_large_ones_in_pieces(server, size):
    """A header field or a part's header at the edge of what is read at once; bodies in files."""
    user = server.user()
    front, back = EAI.split(b"one\r\n", 1)
    message = front + (b"." * 76 + b"\r\n") * (size // 78) + b"one\r\n" + back
    long_field = b"Subject: " + ("é" * 30 + "\r\n ").encode() * (size // 63) + b"x\r\n\r\n" + "é\r\n".encode()
    for text in (message, long_field):
        server.append(user, text)
    with contextlib.closing(Pop(server, user)) as c:
        got = [c.whole("RETR 1"), c.whole("RETR 2")]
        assert c.sizes() == [len(text) for text in got]
        assert got[0].endswith(message[message.index(b"......."):])
        assert got[0].split(b"\r\n\r\n", 1)[0].isascii()
        head, body = got[1].split(b"\r\n\r\n", 1)
        assert head.isascii() and body == "é\r\n".encode()
        assert max(len(line) for line in head.split(b"\r\n")) <= 76
        words = re.findall(rb"=\?utf-8\?B\?([^?]*)\?=", head)
        assert b"".join(map(base64.b64decode, words)).decode().replace(" ", "") == "é" * 30 * (size // 63) + "x"


def test_bytes_in_no_charset_are_no_utf8_either(server):
    user = server.user()
    message = b"From: caf\xe9 <a@example.org>\r\nSubject: caf\xe9\r\n\r\n\xe9\r\n"
    server.append(user, message)
    with contextlib.closing(Pop(server, user)) as old, contextlib.closing(Pop(server, user, "UTF8")) as new:
        assert new.whole("RETR 1") == message
        got = old.whole("RETR 1")
        assert got.split(b"\r\n\r\n")[0].isascii() and got.endswith(b"\r\n\r\n\xe9\r\n")
        assert old.sizes() == [len(got)]


def test_summaries_of_an_older_version_are_made_anew():
    with lib.Server() as server:
        user = server.user()
        for message in (PLAIN, EAI):
            server.append(user, message)
        ident = json.loads(server.run("user", "show", user.address, "--json"))["id"]
        path = os.path.join(server.data, "accounts", ident, "mail.db")
        server.stop()
        lib.alter(path, "UPDATE summary SET bytes=x'02'||substr(bytes,2)")
        server.start()
        with contextlib.closing(Pop(server, user)) as c:
            assert c.sizes() == [len(PLAIN), len(EAI)]  # not known yet: RFC 6858 §4
            assert c.whole("TOP 2 0").isascii()
            surrogate = c.whole("RETR 2")
            check_surrogate(surrogate, EAI)
            assert c.whole("RETR 1") == PLAIN
            assert c.sizes() == [len(PLAIN), len(surrogate)]
            c.command("QUIT")
        with contextlib.closing(Pop(server, user)) as c:  # and that was kept
            assert c.sizes() == [len(PLAIN), len(surrogate)]
        assert server.run("fsck", user.address, check=False).returncode == 0


def test_names_and_passwords_in_utf8(server):
    """RFC 6856 §2.2: with and without UTF8 before, in any form of the same text."""
    user = server.add_user("سلمى@barid.test", "كلمة é سرّ")
    other = user._replace(password=user.password.replace("é", "e\u0301").replace(" ", "\u3000"))
    for who in (user, other):
        for before in ((), ("UTF8",), ("UTF8", "LANG ar")):
            with contextlib.closing(Pop(server, who, *before)) as c:
                assert c.command("STAT") == b"+OK 0 0"
                c.command("QUIT")
    for wrong in ("كلمة é سر", "\udcff\udcfe"):
        with contextlib.closing(raw.Raw(server.port("pop3"))) as c:
            c.line()
            c.send(f"USER {user.address}\r\nPASS {wrong}\r\n".encode("utf-8", "surrogateescape"))
            c.line()
            assert c.line().startswith(b"-ERR [AUTH] ")


def test_scram(server):
    """RFC 5034 §4 with a mechanism of several steps; its last word is answered by an empty line."""
    user = server.user()
    scram = raw.Scram(user)
    with contextlib.closing(raw.Raw(server.port("pop3"))) as c:
        c.line()
        c.send(b"AUTH SCRAM-SHA-256\r\n")
        assert c.line() == b"+ "
        c.send(scram.first.encode() + b"\r\n")
        c.send(scram.final(c.line()[2:]).encode() + b"\r\n")
        scram.check(c.line()[2:])
        c.send(b"\r\n")
        assert c.line().startswith(b"+OK ")
        c.send(b"STAT\r\n")
        assert c.line() == b"+OK 0 0"
