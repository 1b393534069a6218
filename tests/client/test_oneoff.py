"""The one-off verbs by IMAP, against Barid, Dovecot, a server with fewer capabilities, and servers that lie."""
import base64
import imaplib
import json
import os
import re
import socket
import tempfile
import threading

import pytest

import capproxy
import peers
import client as lib_client
from deflating import Deflating

ARABIC = "رسالة عن الاجتماع"


def mail(number, subject="", body="", sender="Omar <omar@example.org>"):
    return (f"From: {sender}\r\nTo: salma@barid.test\r\nSubject: {subject or f'number {number}'}\r\n"
            f"Message-ID: <{number}@example.org>\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body or 'text'}\r\n").encode()


class Box:
    """An IMAP server on loopback with two folders, seen by imaplib and by the home's account."""

    def __init__(self, home, port, user=None, through=None):
        self.home, self.port, self.user = home, port, user
        values = {"imap": f"127.0.0.1 {through or port} none", "maildir": None}
        if user:
            values["address"] = user.address
        home.account("a", **values)

    def imap(self):
        c = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        if c.state == "NONAUTH":
            c.login(self.user.address, self.user.password)
        return c

    def append(self, folder, *messages, flags=""):
        c = self.imap()
        for m in messages:
            assert c.append(folder, flags, None, m)[0] == "OK"
        c.logout()

    def create(self, folder):
        c = self.imap()
        c.create(folder)
        c.logout()

    def flags(self, folder):
        c = self.imap()
        assert c.select(folder, readonly=True)[0] == "OK"
        out = {}
        for item in c.uid("FETCH", "1:*", "(FLAGS)")[1]:
            if item:
                uid = int(re.search(rb"UID (\d+)", item).group(1))
                words = re.search(rb"FLAGS \(([^)]*)\)", item).group(1).decode().split()
                out[uid] = {w for w in words if w != "\\Recent"}
        c.logout()
        return out

    def rows(self, *words, code=0):
        done = self.home.barid(*words, "--json")
        assert done.returncode == code, done
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["barid", "dovecot"])
def box(request, home, server):
    if request.param == "barid":
        yield Box(home, server.port("imap"), server.user())
        return
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed")
    with peer:
        yield Box(home, peer.port)


def test_ls_shows_folders_and_messages(box):
    box.append("INBOX", mail(1), mail(2, sender="=?utf-8?B?2LPZhNmF2Yk=?= <s@example.org>"))
    box.append("INBOX", mail(3), flags="(\\Seen \\Flagged)")
    box.create("Work/2026")
    folders = {f["folder"]: f for f in box.rows("ls")}
    assert folders["INBOX"]["messages"] == 3 and folders["INBOX"]["unseen"] == 2
    assert folders["Work/2026"]["messages"] == 0
    rows = box.rows("ls", "inbox")
    assert [r["subject"] for r in rows] == ["number 1", "number 2", "number 3"]
    assert set(rows[2]["flags"]) - {"\\Recent"} == {"\\Seen", "\\Flagged"}
    assert rows[1]["from"].startswith("سلمى") and rows[0]["size"] == len(mail(1)) and rows[0]["date"] == 1795687200
    assert [r["subject"] for r in box.rows("ls", "a:INBOX", "-n", "1")] == ["number 3"]
    text = box.home.barid("ls", "INBOX").stdout.splitlines()
    assert len(text) == 3 and " N   " in text[0] and "  ! " in text[2] and "\u2068سلمى\u2069" in text[1]
    assert box.flags("INBOX")[1] == set()  # looking changes nothing


def test_arabic_folders_and_words(box):
    c = box.imap()
    name = "العمل"
    coded = "&" + base64.b64encode(name.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    assert c.create(coded)[0] == "OK"
    c.logout()
    box.append(coded, mail(1, body=ARABIC), mail(2, body="nothing of it"))
    box.append("INBOX", mail(3, body=ARABIC))
    assert name in {f["folder"] for f in box.rows("ls")}
    assert [r["subject"] for r in box.rows("search", name, ARABIC)] == ["number 1"]
    assert {(r["folder"], r["subject"]) for r in box.rows("search", "--all", "body:" + ARABIC)} == {
        (name, "number 1"), ("INBOX", "number 3")}
    assert [r["subject"] for r in box.rows("search", "a:", "--all", "subject:number 3", "unseen")] == ["number 3"]
    assert box.rows("search", "INBOX", "since:2035-01-01") == []
    assert len(box.rows("search", "INBOX", "from:omar", "smaller:10K", "before:2035-01-01")) == 1
    for bad in ("since:yesterday", "larger:much", "since:2026-02-30", "from:", "larger:99G"):
        done = box.home.barid("search", "INBOX", bad)
        assert done.returncode == 64 and bad in done.stderr, bad


def test_flag_mv_rm(box):
    box.append("INBOX", *(mail(n) for n in range(1, 6)))
    box.create("Trash")
    assert box.home.barid("flag", "INBOX", "1,3:4", "+seen", "+urgent").returncode == 0
    assert box.home.barid("flag", "INBOX", "3", "-seen", "+flagged").returncode == 0
    assert box.flags("INBOX") == {1: {"\\Seen", "urgent"}, 2: set(), 3: {"urgent", "\\Flagged"}, 4: {"\\Seen", "urgent"}, 5: set()}
    for wrong in (("x", "+seen"), ("0", "+seen"), ("1", "seen"), ("1", "+a b"), ("1", "+\\Seen"), ("1", "+a)(")):
        assert box.home.barid("flag", "INBOX", *wrong).returncode == 64, wrong
    done = box.home.barid("mv", "INBOX", "1", "New/one")
    assert done.returncode == 66 and "New/one" in done.stderr and len(box.flags("INBOX")) == 5
    assert box.home.barid("mv", "INBOX", "1", "New/one", "--make").returncode == 0
    assert list(box.flags("New/one").values()) == [{"\\Seen", "urgent"}]
    box.home.barid("flag", "INBOX", "5", "+deleted")
    assert box.home.barid("rm", "INBOX", "2").returncode == 0
    assert set(box.flags("INBOX")) == {3, 4, 5} and len(box.flags("Trash")) == 1
    assert box.home.barid("rm", "INBOX", "3", "--for-good").returncode == 0
    assert set(box.flags("INBOX")) == {4, 5}, "what others marked as deleted stays"
    assert box.home.barid("rm", "Trash", "1").returncode == 0
    assert box.flags("Trash") == {}


def test_fewer_capabilities(home, server):
    user = server.user()
    with capproxy.Proxy(server.port("imap"), without={"MOVE", "IMAP4REV2", "LIST-STATUS", "LITERAL+", "LITERAL-", "ESEARCH",
                                                      "SPECIAL-USE", "LIST-EXTENDED", "NAMESPACE"}) as proxy:
        box = Box(home, server.port("imap"), user, proxy.port)
        box.append("INBOX", mail(1, body=ARABIC), mail(2), mail(3))
        box.home.barid("flag", "INBOX", "2", "+deleted")
        assert {f["folder"]: f.get("messages") for f in box.rows("ls")}["INBOX"] == 3
        assert [r["uid"] for r in box.rows("search", "INBOX", ARABIC)] == [1]
        assert home.barid("rm", "INBOX", "1").returncode == 0
        assert set(box.flags("INBOX")) == {2, 3} and len(box.flags("Trash")) == 1
    with capproxy.Proxy(server.port("imap"), without={"MOVE", "IMAP4REV2", "UIDPLUS"}) as proxy:
        box = Box(home, server.port("imap"), user, proxy.port)
        for words in (("mv", "INBOX", "3", "Trash"), ("rm", "INBOX", "3"), ("rm", "INBOX", "3", "--for-good")):
            assert home.barid(*words).returncode == 69
        assert set(box.flags("INBOX")) == {2, 3}


def test_a_server_without_quota(box):
    done = box.home.barid("quota")
    assert done.returncode == 0 and ("does not tell" in done.stdout or "no limit" in done.stdout), done


def test_a_pop3_account_is_told_what_to_do(home):
    home.account("a", pop3="127.0.0.1 1110 none")
    for words in (("ls",), ("search", "INBOX", "x"), ("rm", "INBOX", "1"), ("quota",)):
        done = home.barid(*words)
        assert done.returncode == 78 and "barid fetch a" in done.stderr, words


class Fake:
    """Answers each command by play(verb, rest) -> bytes before its OK; the login goes by itself."""

    def __init__(self, play, caps=b""):
        self.play, self.caps = play, caps
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._run, daemon=True)
        self.accepting.start()

    def _run(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS %s] hi\r\n" % self.caps)
                for line in lines:
                    tag, verb, *rest = line.rstrip(b"\r\n").split(b" ", 2)
                    answer = self.play(verb.decode(), b" ".join(rest).decode("latin-1"))
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        connection.sendall(piece)
                    connection.sendall(tag + b" OK done\r\n")
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib_client.stop_listening(self)


def endless(piece):
    while True:
        yield piece * 200


LIST = b'* LIST () "/" INBOX\r\n'
SELECT = b"* 2 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n"


def plays(fetch=b"", listing=LIST, search=b"* SEARCH 1\r\n"):
    def play(verb, rest):
        if verb == "UID":
            verb = rest.split(" ")[0]
        return {"LIST": listing, "EXAMINE": SELECT, "SELECT": SELECT, "FETCH": fetch, "SEARCH": search}.get(verb, b"")
    return play


def row(uid, subject):
    head = b"Subject: " + subject + b"\r\nFrom: x\x1b[31m@y\r\n\r\n"
    return b"* 1 FETCH (UID %d FLAGS () RFC822.SIZE 10 BODY[HEADER.FIELDS (DATE FROM SUBJECT)] {%d}\r\n%s)\r\n" % (uid, len(head), head)


def test_quota(home):
    answer = (b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 293 1024 MESSAGE 3 10)\r\n* QUOTA x (STORAGE 1)\r\n* QUOTA y (STORAGE a b)\r\n'
              b'* QUOTA\r\n* QUOTA z (ev\x1bil 1 2)\r\n')
    def run(*words):
        with Fake(lambda verb, rest: answer if verb == "GETQUOTAROOT" else b"", caps=b"QUOTA") as fake:
            home.account("a", imap=f"127.0.0.1 {fake.port} none")
            done = home.barid("quota", *words)
            assert done.returncode == 0 and "\x1b" not in done.stdout, done
            return done.stdout
    rows = [json.loads(line) for line in run("--json").splitlines()]
    assert rows[:2] == [{"root": "", "resource": "STORAGE", "used": 293, "limit": 1024},
                        {"root": "", "resource": "MESSAGE", "used": 3, "limit": 10}] and len(rows) == 3
    assert "Space: 293.0 KB of 1.0 MB, 28.6 %" in run() and "Messages: 3 of 10, 30.0 %" in run()
    assert "28.6 %" in run("--lang", "ar")


def test_nothing_of_a_stranger_reaches_the_terminal(home):
    subject = "a\x1b]0;evil\x07 \u202egnp.exe \u2067x\x9b31m \x00".replace("\x00", "").encode()
    with Fake(plays(row(1, subject) + row(1, b"again"), LIST + b'* LIST () "/" "ev\x1b[2Jil"\r\n')) as fake:
        home.account("a", imap=f"127.0.0.1 {fake.port} none")
        done = home.barid("ls", "INBOX")
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 1, done
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\x9b\u202a-\u202e\u2066\u2067]", done.stdout), repr(done.stdout)
    with Fake(plays(listing=LIST + b'* LIST () "/" "ev\x1b[2Jil"\r\n')) as fake:
        home.account("a", imap=f"127.0.0.1 {fake.port} none")
        done = home.barid("ls")
        assert done.returncode == 0 and "\x1b" not in done.stdout, repr(done.stdout)


@pytest.mark.parametrize("what", ["LIST", "FETCH", "SEARCH"])
def test_answers_without_end_end(home, what):
    play = {"LIST": plays(listing=endless(b'* LIST () "/" a\r\n')), "FETCH": plays(fetch=endless(row(1, b"x"))),
            "SEARCH": plays(search=endless(b"* SEARCH 1\r\n"))}[what]
    with Fake(play) as fake:
        home.account("a", imap=f"127.0.0.1 {fake.port} none")
        done = home.barid(*(("search", "INBOX", "x") if what == "SEARCH" else ("ls", "INBOX")), timeout=60)
        assert done.returncode == 76, done


@pytest.fixture(params=["courier", "cyrus", "cyrus-as-it-comes"])
def peer_box(request, home):
    """Servers without MOVE or without a folder beside INBOX; (Box, the name that a folder has there)."""
    peer = peers.PEERS[request.param]()
    if peer is None:
        pytest.skip(f"{request.param} is not here (tools/deps check)")
    with peer:
        user = peer.user()
        home.file("secret", user.password + "\n")
        yield Box(home, peer.port, user), lambda name: peer.prefix + name.replace("/", peer.delimiter)


def test_other_servers(peer_box):
    """Every verb, with the names that people write: without the prefix, and with "/"."""
    box, there = peer_box
    run = box.home.barid
    box.append("INBOX", mail(1, body=ARABIC), mail(2), mail(3), mail(4))
    box.append("INBOX", mail(5), flags="(\\Seen \\Flagged)")
    box.create(there("Work/2026"))
    box.create(there("Trash"))
    assert box.rows("ls", "INBOX")[0]["subject"] == "number 1"
    folders = {f["folder"]: f for f in box.rows("ls")}
    assert folders["INBOX"]["messages"] == 5 and folders["INBOX"]["unseen"] == 4 and there("Work/2026") in folders
    assert [r["uid"] for r in box.rows("search", "INBOX", ARABIC)] == [1]
    assert [r["uid"] for r in box.rows("search", "INBOX", "subject:number 3")] == [3]
    done = run("read", "INBOX", "1", "--peek")
    assert done.returncode == 0 and ARABIC in done.stdout, done
    assert "\\Seen" not in box.flags("INBOX")[1]
    assert run("flag", "INBOX", "2:3", "+seen", "+urgent").returncode == 0
    assert box.flags("INBOX")[2] == {"\\Seen", "urgent"} and box.flags("INBOX")[4] == set()
    done = run("mv", "INBOX", "2", "Work/2026")
    assert done.returncode == 0, done
    assert list(box.flags(there("Work/2026")).values()) == [{"\\Seen", "urgent"}] and set(box.flags("INBOX")) == {1, 3, 4, 5}
    done = run("mv", "INBOX", "5", "New", "--make")
    assert done.returncode == 0, done
    assert list(box.flags(there("New")).values()) == [{"\\Seen", "\\Flagged"}]
    assert run("flag", "INBOX", "4", "+deleted").returncode == 0
    assert run("rm", "INBOX", "3").returncode == 0
    assert set(box.flags("INBOX")) == {1, 4} and len(box.flags(there("Trash"))) == 1, "what others marked as deleted stays"
    assert run("rm", "Trash", "1").returncode == 0 and box.flags(there("Trash")) == {}
    to = tempfile.mkdtemp(dir=box.home.folder)
    assert run("save", "INBOX", "1", "--to", to).returncode == 0
    with open(os.path.join(to, *os.listdir(to)), "rb") as f:
        assert f.read().replace(b"\r\n", b"\n") == mail(1, body=ARABIC).replace(b"\r\n", b"\n")
    assert run("quota").returncode == 0


def test_a_server_that_knows_login_alone(home, server):
    """No AUTH= at all: LOGIN, the first time and ever after, which is what PLAIN was; but not where there was SCRAM before."""
    user = server.user()
    with capproxy.Proxy(server.port("imap"), without=("AUTH=SCRAM-SHA-256", "AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR")) as proxy, \
            Deflating(proxy.port, offered=False) as ear:
        home.file("secret", user.password + "\n")
        home.account("a", address=user.address, imap=f"127.0.0.1 {ear.port} none", maildir=None)
        for _ in range(2):
            done = home.barid("ls")
            assert done.returncode == 0, done
        assert ear.heard.count(b"LOGIN ") == 2
        proxy.without.remove("AUTH=PLAIN")
        assert home.barid("ls").returncode == 0, "the same in other words"
        proxy.without.remove("AUTH=SCRAM-SHA-256")
        assert home.barid("ls").returncode == 0
        proxy.without |= {"AUTH=SCRAM-SHA-256", "AUTH=PLAIN"}
        before = len(ear.heard)
        done = home.barid("ls")
        assert done.returncode == 77 and user.password.encode() not in ear.heard[before:] and b"LOGIN" not in ear.heard[before:], done


def test_fetch_from_other_servers(peer_box):
    """Into a Maildir, all of it once, and removed there when that is wanted."""
    box, _ = peer_box
    box.append("INBOX", *(mail(n) for n in range(1, 6)))
    box.home.account("a", imap=f"127.0.0.1 {box.port} none", address=box.user.address)
    for _ in range(2):
        done = box.home.barid("fetch")
        assert done.returncode == 0, done
        assert sorted(box.home.mail().values()) == sorted(lib_client.local(mail(n)) for n in range(1, 6))
    assert len(box.flags("INBOX")) == 5
