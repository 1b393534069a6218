"""barid verify: differences that nobody would notice are found, and what the next sync carries over is none. barid log: where a message is."""
import contextlib
import json
import os
import re
import sqlite3
import subprocess

import pytest

import peers
from capproxy import Proxy
from imapside import Mail, Mailbox
from server import User, barid_program
from twosides import Client, Far, Near, message


class World:
    def __init__(self, home, port, user, through=None):
        self.far = Far(port, user)
        self.client = Client(str(home), through or port, user)
        self.near = Near(self.client.maildir)

    def verify(self, *words, code=0):
        """{folder: row} of the folders that differ."""
        done = self.client.run("verify", *words, "--json")
        assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        keys = ("only_here", "only_there", "flags", "bytes", "next")
        return {r["folder"]: {k: r[k] for k in keys if r[k]} | ({"whole": True} if r["next_sync"] else {})
                for r in rows if r["next_sync"] or any(r[k] for k in keys)}

    def state(self, statement, *values):
        with contextlib.closing(sqlite3.connect(os.path.join(self.client.state, "sync.db"))) as db, db:
            return db.execute(statement, values).fetchall()


def everything(root):
    """Every file and its bytes, and when it was written."""
    out = {}
    for path, _, names in os.walk(root):
        for name in names:
            whole = os.path.join(path, name)
            with open(whole, "rb") as f:
                out[whole] = f.read(), os.stat(whole).st_mtime_ns
    return out


@pytest.fixture(params=["barid", "dovecot", "plain"])
def world(request, server, tmp_path):
    if request.param == "plain":  # a server that knows no MODSEQ is asked for everything by each sync
        with Proxy(server.port("imap"), without={"QRESYNC", "CONDSTORE", "LIST-STATUS", "ESEARCH"}) as proxy:
            w = World(tmp_path, server.port("imap"), server.user(), proxy.port)
            w.sees_all = True
            yield w
        return
    if request.param == "barid":
        w = World(tmp_path, server.port("imap"), server.user())
        w.sees_all = False
        yield w
        return
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        w = World(tmp_path, peer.port, User("salma@barid.test", "unused"))
        w.sees_all = False
        yield w


def test_equal_and_what_sync_carries_over(world):
    w = world
    w.client.run("verify")
    assert not os.path.exists(os.path.join(w.client.state, "sync.db"))
    assert w.client.run("verify").returncode == 66
    w.far.make("Work")
    w.far.add_many("INBOX", range(1, 12))
    w.far.add("Work", 20, ["\\Seen", "$Label1"])
    w.client.sync()
    before = everything(w.client.maildir)
    table = w.far.table()
    assert w.verify() == {} and w.verify("--bytes") == {}
    text = w.client.run("verify").stdout
    assert "equal, 12 messages in " in text
    # changes on both sides that the next sync will see
    w.far.add("INBOX", 12)
    w.near.add("INBOX", 13)
    w.far.set_flags("INBOX", 1, ["\\Flagged"])
    w.near.set_flags("INBOX", 2, ["\\Seen"])
    w.far.remove("INBOX", [3])
    w.near.remove("INBOX", [4])
    w.near.make("New here")
    w.far.make("New there")
    changed = everything(w.client.maildir)
    found = w.verify(code=22)
    assert found == {"INBOX": {"next": 6}, "New here": {"whole": True}, "New there": {"whole": True}}
    assert "carries over 6" in w.client.run("verify").stdout
    assert everything(w.client.maildir) == changed
    w.client.sync()
    assert w.verify("--bytes") == {}
    assert before and table


def test_differences_that_no_sync_sees(world):
    w = world
    w.far.add_many("INBOX", range(1, 12))
    w.client.sync()
    files = w.near.files("INBOX")
    # one file is damaged, byte for byte as long as it was; another is cut
    with open(files[1], "r+b") as f:
        f.seek(-5, os.SEEK_END)
        f.write(b"X")
    with open(files[2], "ab") as f:
        f.truncate(60)
    assert w.verify(code=21) == {"INBOX": {"bytes": 2}}
    # what is known of both sides says nothing changed, and it is not so
    uid = dict(w.far.do(lambda c: w.far.uids(c, "INBOX")).items())
    w.state("UPDATE message SET flags = flags | 16 WHERE uid = ?", int(uid[3]))
    os.rename(files[3], os.path.join(os.path.dirname(os.path.dirname(files[3])), "cur",
                                     os.path.basename(files[3]).partition(":")[0] + ":2,S"))
    want = {"bytes": 2, "next": 1} if w.sees_all else {"bytes": 2, "flags": 1}
    assert w.verify(code=21) == {"INBOX": want}
    # a row is lost: the message there is known to nobody, and its file here is new
    w.state("DELETE FROM message WHERE uid = ?", int(uid[5]))
    found = w.verify(code=21)["INBOX"]
    if w.sees_all:
        assert found == {"bytes": 2, "next": 3}
    else:
        assert found == {"bytes": 2, "flags": 1, "only_there": 1, "next": 1}
        # and one that is gone there, of which the server said nothing
        w.state("UPDATE message SET uid = 4000000 WHERE uid = ?", int(uid[6]))
        found = w.verify(code=21)["INBOX"]
        assert found == {"bytes": 2, "flags": 1, "only_there": 2, "only_here": 1, "next": 1}
    text = w.client.run("verify")
    assert text.returncode == 21 and f"bytes differ 2 ({uid[1]}, {uid[2]})" in text.stdout


def test_every_byte(server, tmp_path):
    """A server that gives other bytes of the same size under the same Message-ID: only --bytes can find it."""
    user = server.user()
    Far(server.port("imap"), user).add_many("INBOX", range(1, 6))
    lie = {"on": False}

    def alter(data):
        return data.replace(b"body of 3", b"BODY of 3") if lie["on"] else data
    with Proxy(server.port("imap"), alter=alter) as proxy:
        w = World(tmp_path, server.port("imap"), user, proxy.port)
        w.client.sync()
        lie["on"] = True
        assert w.verify() == {}
        assert w.verify("--bytes", code=21) == {"INBOX": {"bytes": 1}}
        # a message of a new UIDVALIDITY is not compared with what had its UID
        w.state("UPDATE folder SET uidvalidity = uidvalidity - 1")
        assert w.verify(code=22) == {f: {"whole": True} for f in w.far.table()}
    assert w.client.run("verify", "--what").returncode == 64
    assert message(3)


def test_bytes_that_do_not_come(home):
    """What --bytes did not see is not equal: one that the server does not give; one as a quoted string is seen; one that is gone is the next sync's."""
    how = {}

    def lie(box, session, words):
        if b"BODY.PEEK[]" not in words or not how:
            return None
        said = box.answer(session, words)
        small = box.folders["INBOX"].mail[1].data
        said = said.replace(b"BODY[] {%d}\r\n%s" % (len(small), small), b'BODY[] "%s"' % how["small"])
        if "gone" in how:
            del box.folders["INBOX"].mail[2]
        return re.sub(rb"\* 3 FETCH .*?third\r\n\)\r\n", b"* 3 FETCH (UID 3 BODY[] NIL)\r\n", said, flags=re.S)
    mail = [Mail(b"Message-ID: <%d@x>\r\n\r\nfirst\r\n" % n) for n in (1,)] + [Mail(b"one line")] + [Mail(b"Message-ID: <3@x>\r\n\r\nthird\r\n")]

    def verify(code):
        done = home.barid("verify", "--bytes", "--json")
        assert done.returncode == code, done
        return json.loads(done.stdout)
    with Mailbox({"INBOX": mail}) as box:
        home.account("a", imap=f"127.0.0.1 {box.port} none", folders="INBOX")
        assert home.barid("sync").returncode == 0
        assert verify(0)["equal"] == 3
        box.lie = lie
        how["small"] = b"one line"
        row = verify(21)
        assert (row["equal"], row["bytes"], row["examples"]["bytes"][0]["uid"]) == (2, 1, 3), row
        how["small"] = b"one LINE"
        assert verify(21)["bytes"] == 2
        how["small"], how["gone"] = b"one line", True
        row = verify(22)
        assert (row["equal"], row["bytes"], row["next"]) == (2, 0, 1), row


def test_words(server, tmp_path):
    """The account by name or address; another one that was never synchronised; what is no word."""
    w = World(tmp_path, server.port("imap"), server.user())
    w.far.add("INBOX", 1)
    w.client.sync()
    with open(os.path.join(w.client.home, ".config/barid/accounts.conf"), "a", encoding="utf-8") as f:
        f.write(f"account other\n  address other@barid.test\n  imap 127.0.0.1 {w.far.port} none\n  maildir {w.client.home}/Other\n")
    for name in ("salma", w.far.user.address):
        assert "equal, 1 messages" in w.client.run("verify", name).stdout
        assert "equal, 1 messages" in w.client.run("verify", "--bytes", name).stdout
        assert [p["where"] for p in places(w, "1@example.org", name)] == ["sync", "server"]
    assert "الجانبان متطابقان" in w.client.run("verify", "--lang", "ar").stdout
    assert w.client.run("verify", "other").returncode == 66
    assert w.client.run("verify", "nobody").returncode == 64
    assert w.client.run("verify", "salma", "other").returncode == 64
    assert w.client.run("log", "1@example.org", "nobody").returncode == 64
    assert w.client.run("log", "1@example.org", "--what").returncode == 64
    assert w.client.run("log", "1@example.org", "salma", "more").returncode == 64
    assert "على الخادم: INBOX" in w.client.run("log", "1@example.org", "--lang", "ar").stdout


# ---- log ----

def places(w, *words, code=0):
    done = w.client.run("log", *words, "--json")
    assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["barid", "dovecot"])
def box(request, server, tmp_path):
    if request.param == "barid":
        yield World(tmp_path, server.port("imap"), server.user())
        return
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        yield World(tmp_path, peer.port, User("salma@barid.test", "unused"))


def test_log_on_the_server_and_here(box):
    w = box
    w.far.make("Work")
    w.far.add("INBOX", 1, ["\\Seen"])
    w.far.add("Work", 1)
    w.far.add("INBOX", 11)
    found = places(w, "1@example.org")
    assert sorted((p["where"], p["folder"], p["seen"]) for p in found) == [("server", "INBOX", True), ("server", "Work", False)]
    assert not os.path.exists(os.path.join(w.client.state, "sync.db"))
    w.client.sync()
    found = places(w, "<1@example.org>")
    here = {p["folder"]: p["file"] for p in found if p["where"] == "sync"}
    assert here == {"INBOX": w.near.files("INBOX")[1], "Work": w.near.files("Work")[1]}
    # moved by another program: the file is named as it is now; removed: it is said
    w.near.set_flags("INBOX", 1, ["\\Seen", "\\Flagged"])
    w.near.remove("Work", [1])
    here = {p["folder"]: p["file"] for p in places(w, "1@example.org") if p["where"] == "sync"}
    assert here == {"INBOX": w.near.files("INBOX")[1], "Work": ""}
    text = w.client.run("log", "1@example.org").stdout
    assert "on the server: INBOX 1," in text and "the file is gone" in text and "(sync: on both sides)" in text
    # a part of an id, or one in other case, is another one
    assert places(w, "@example.org", code=66) == [] and places(w, "1@EXAMPLE.org", code=66) == []
    assert "is nowhere" in w.client.run("log", "none@example.org").stdout


def test_log_takes_what_fetch_knows(box):
    w = box
    w.far.add_many("INBOX", [1, 2])
    assert [p["where"] for p in places(w, "1@example.org")] == ["server"]
    done = w.client.run("fetch")
    assert done.returncode == 0, done
    w.far.add("INBOX", 3)
    assert [p["where"] for p in places(w, "1@example.org")] == ["server", "fetch"]
    assert [p["where"] for p in places(w, "3@example.org")] == ["server"]


def test_log_of_hostile_and_foreign_ids(box):
    w = box
    ids = ['<a"b\\c@example.org>', "<x) OR ALL@example.org>", "<{3+}@example.org>", "<رسالة@example.org>", "<a*%@example.org>"]

    def fill(c):
        for i, name in enumerate(ids):
            m = f"Subject: number {i}\r\nMessage-ID: {name}\r\n\r\nx\r\n".encode()
            assert c.append("INBOX", "", None, m)[0] == "OK"
    w.far.do(fill)
    for i, name in enumerate(ids):
        assert [(p["folder"], p["uid"]) for p in places(w, name)] == [("INBOX", i + 1)], name
    before = w.far.table()
    for bad in ("", "<>", "a\r\nA1 DELETE INBOX@x", "a\nb", "\x01@x", "a>b<@x", "x" * 2000):
        assert w.client.run("log", bad).returncode == 64, bad
    for absent in ('x" DELETED', "x\" {5}", "' OR 1=1 --@x"):
        assert places(w, absent, code=66) == []
    assert w.far.table() == before
    assert w.client.run("log").returncode == 64


def test_log_of_the_queue(server, tmp_path):
    w = World(tmp_path, server.port("imap"), server.user())
    with open(os.path.join(w.client.home, ".config/barid/accounts.conf"), "a", encoding="utf-8") as f:
        f.write("  smtp 127.0.0.1 1 none\n")  # nobody listens there: it waits
    mail = tmp_path / "mail"
    mail.write_text("To: omar@barid.test\nSubject: hello\nMessage-ID: <q1@example.org>\n\ntext\n")
    with open(mail, encoding="utf-8") as f:
        done = subprocess.run([barid_program(), "send", "-t"], stdin=f, env=w.client.env, capture_output=True, text=True, check=False)
    found = places(w, "q1@example.org")
    assert [(p["where"], p["to"], p["state"]) for p in found] == [("queue", "omar@barid.test", "waits")], done
    assert "to be sent" in w.client.run("log", "<q1@example.org>").stdout
    # the server away: what is known here is told all the same, and then why not the rest
    conf = os.path.join(w.client.home, ".config/barid/accounts.conf")
    with open(conf, encoding="utf-8") as f:
        lines = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(lines.replace(f"imap 127.0.0.1 {w.far.port} none", "imap 127.0.0.1 1 none"))
    assert [p["where"] for p in places(w, "q1@example.org", code=75)] == ["queue"]
