"""barid copy, from server to server: Barid, Dovecot, servers with fewer capabilities, servers that lie; runs that are killed and lines that break. After each the
next run ends with all mail there, once."""
import hashlib
import imaplib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

import client
import peers
import server as lib
from capproxy import Proxy
from imapside import HOLD, Folder, Mail, Mailbox

ARABIC = "العمل"
ARABIC_7 = "&BicGRAY5BkUGRA-"
NESTED_7 = ARABIC_7 + "/&BicGRAYjBjEGNAZKBkE-"  # العمل/الأرشيف


def message(number, more="", head=True):
    """Without a Message-ID where head is False."""
    text = f"Message-ID: <{number}@example.org>\r\n" if head else ""
    return (f"From: a@example.org\r\nTo: salma@barid.test\r\nSubject: رسالة {number}\r\n{text}"
            f"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n\r\nنص {number}\r\n.dot\r\n{more}\r\n").encode()


DAYS = [f"{n:2d}-Nov-2025 10:00:0{n % 10} +0{n % 4}00" for n in range(1, 29)]
INBOX = [Mail(message(n), ["\\Seen"] if n % 2 else ["\\Flagged", "$Work"], DAYS[n]) for n in range(8)]
ODD = [
    Mail(message(20), [], DAYS[20]), Mail(message(20), [], DAYS[20]),                     # the same twice
    Mail(message(21, head=False), ["\\Deleted"], DAYS[21]),                                # no Message-ID
    Mail(message(22, "x", head=False), [], DAYS[22]), Mail(message(22, "y", head=False), [], DAYS[22]),  # told apart by their bytes alone
    Mail(message(23, "big " * 3000), ["\\Answered", "\\Draft"], DAYS[23]),
    Mail(message(24, "x"), [], DAYS[24]), Mail(message(24, "y"), [], DAYS[24]),
]


def fresh(mail):
    return [Mail(m.data, m.flags, m.date) for m in mail]


def source(**more):
    folders = {"INBOX": fresh(INBOX), ARABIC_7: fresh(ODD), NESTED_7: fresh(INBOX[:2]), "Empty": []}
    return Mailbox(folders, **more)


def accounts(home, old, new, to=""):
    """The accounts `old` and `new`, of (port, user) or a port."""
    def block(end):
        port, user = end if isinstance(end, tuple) else (end, None)
        return {"imap": f"127.0.0.1 {port} none", "maildir": None, "address": user.address if user else "salma@barid.test"}
    home.file("secret", client.PASSWORD + "\n")
    values = block(new)
    more = "account new\n" + "".join(f"  {k} {v}\n" for k, v in values.items() if v) + f"  password-file {home.secret}\n" + to
    if not isinstance(new, tuple):
        more = more.replace("salma@", "nora@")
    home.account("old", more, **block(old))


def copied(home, *words, code=0, env=None):
    """The last line of --json."""
    done = home.barid("copy", "old", "new", "--json", *words, env=env)
    assert done.returncode == code, done
    return json.loads(done.stdout.splitlines()[-1])


def same(old, new):
    a, b = old.table(), new.table()
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    for name in a:
        assert a[name] == b[name], name
    assert not old.wrong and not new.wrong


class Real:
    """A mailbox of a real server, seen by imaplib."""

    def __init__(self, port, user=None):
        self.port, self.user, self.wrong = port, user, []

    def imap(self):
        c = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        if c.state == "NONAUTH":
            c.login(self.user.address, self.user.password)
        return c

    def fill(self, box):
        c = self.imap()
        for name, folder in box.folders.items():
            c.create(f'"{name}"')
            c.subscribe(f'"{name}"')
            for mail in folder.mail:
                answer = c.append(f'"{name}"', f"({' '.join(mail.flags)})", f'"{mail.date}"', mail.data)
                assert answer[0] == "OK", answer
        c.logout()

    def table(self):
        c, out = self.imap(), {}
        for line in c.list()[1]:
            name = re.search(r'"?([^" ]+)"?$', line.decode()).group(1)
            if "\\Noselect" in line.decode():
                continue
            assert c.select(f'"{name}"', readonly=True)[0] == "OK", name
            rows = []
            for item in c.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1] or []:
                if isinstance(item, tuple):
                    flags = re.search(rb"FLAGS \(([^)]*)\)", item[0]).group(1).decode().split()
                    moment = time.mktime(imaplib.Internaldate2tuple(item[0]))
                    rows.append((hashlib.sha256(item[1]).hexdigest(), sorted(f for f in flags if f != "\\Recent"), moment))
            out[name] = sorted(rows)
        c.logout()
        return out

    def subscribed(self):
        c = self.imap()
        out = {re.search(r'"?([^" ]+)"?$', line.decode()).group(1) for line in c.lsub()[1] if line}
        c.logout()
        return out


@pytest.fixture(params=["dovecot", "sdbox"])
def dovecot(request):
    peer = peers.dovecot("maildir:~/Maildir" if request.param == "dovecot" else "sdbox:~/sdbox")
    if not peer:
        pytest.skip("dovecot-imapd is not installed")
    with peer:
        yield Real(peer.port)


@pytest.fixture
def ours(barid):
    user = barid.user()
    return Real(barid.port("imap"), user)


@pytest.fixture(scope="module")
def filled(barid):
    """All of source() in the real server. No copy changes it."""
    full = Real(barid.port("imap"), barid.user())
    with source() as box:
        full.fill(box)
    before = full.table()
    yield full
    assert full.table() == before


# ---- real servers ----

@pytest.mark.parametrize("way", ["to dovecot", "from dovecot"])
def test_all_mail_of_real_servers(home, ours, dovecot, way):
    old, new = (ours, dovecot) if way == "to dovecot" else (dovecot, ours)
    with source() as box:
        old.fill(box)
    before = old.table()
    standing = new.table().keys()
    accounts(home, (old.port, ours.user), (new.port, ours.user._replace(address="nora@barid.test"))
             if new is dovecot else (new.port, ours.user))
    if old is dovecot:
        accounts(home, old.port, (new.port, ours.user))
    would = copied(home, "--dry-run")
    assert would["copied"] == 18 and new.table().keys() == standing
    result = copied(home)
    assert (result["copied"], result["found"], result["failed"], result["stopped"]) == (18, 0, 0, 0)
    after = new.table()
    for name, rows in before.items():
        assert after[name] == rows, name
    assert old.table() == before, "the source is as it was"
    assert {"INBOX", ARABIC_7, NESTED_7, "Empty"} <= new.subscribed()
    again = copied(home)
    assert (again["copied"], again["found"], again["known"]) == (0, 0, 18) and new.table() == after
    # what the owner does there stays; what is new comes
    c = new.imap()
    c.select("INBOX")
    c.uid("STORE", "1:*", "+FLAGS", "(\\Answered)")
    c.logout()
    changed = new.table()
    c = old.imap()
    c.append("INBOX", "", f'"{DAYS[5]}"', message(90))
    c.logout()
    assert copied(home)["copied"] == 1
    last = new.table()
    assert len(last["INBOX"]) == 9 and all(row in last["INBOX"] for row in changed["INBOX"])


def test_killed_at_random_with_real_servers(home, ours):
    """Dovecot goes on with what it had received: the next run waits until it is quiet."""
    peer = peers.dovecot("maildir:~/Maildir")
    if not peer:
        pytest.skip("dovecot-imapd is not installed")
    rng = random.Random("copy")
    mail = [Mail(message(n, "x" * rng.randrange(3000), n % 9 > 0), [], DAYS[n % 28]) for n in range(160)]
    with peer, Mailbox({"INBOX": mail}) as box:
        ours.fill(box)
        new = Real(peer.port)
        for answered in (rng.randrange(1, 20), rng.randrange(1, 20)):
            running = threading.Event()

            def kill_at(data, left=[answered]):
                left[0] -= data.count(b"[APPENDUID ")
                if left[0] <= 0 and running.wait(30):
                    process.send_signal(signal.SIGKILL)
                return data
            with Proxy(peer.port, alter=kill_at) as proxy:
                accounts(home, (ours.port, ours.user), proxy.port)
                process = subprocess.Popen([lib.barid_program(), "copy", "old", "new", "-q", "--settle", "1"], env=home.env)
                running.set()
                assert process.wait() == -signal.SIGKILL
        accounts(home, (ours.port, ours.user), peer.port)
        result = copied(home, "--settle", "1")
        assert result["copied"] + result["found"] + result["known"] == 160 and result["copied"] < 160
        assert new.table()["INBOX"] == ours.table()["INBOX"]


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("without", [
    ("LITERAL+",), ("LITERAL+", "LITERAL-", "IMAP4REV2"), ("UIDPLUS", "IMAP4REV2"),
    ("SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "NAMESPACE", "ESEARCH", "IMAP4REV2")])
def test_fewer_capabilities(home, barid, filled, side, without):
    """No step needs what only new servers have; nothing is doubled in a second run, nor after rows that have no UID."""
    old, new = filled, Real(barid.port("imap"), barid.user())
    with Proxy(old.port, without=without if side == "old" else ()) as a, Proxy(new.port, without=without if side == "new" else ()) as b:
        accounts(home, (a.port, old.user), (b.port, new.user))
        assert copied(home)["copied"] == 18
        assert new.table() == old.table()
        again = copied(home)
        assert (again["copied"], again["found"]) == (0, 0)


# ---- folders ----

def test_folders_of_the_same_use(home):
    uses = {"INBOX": [], "Gesendet": Folder([Mail(message(1))], attributes="\\Sent"), "Papierkorb": Folder([Mail(message(2))], attributes="\\Trash"),
            "Entwurf": Folder([Mail(message(3))], attributes="\\Drafts"), "Alle": Folder([Mail(message(1))], attributes="\\All"),
            "Spam": [Mail(message(4))], "Markiert": Folder([Mail(message(1))], attributes="\\Flagged")}
    there = {"INBOX": [], "Sent Items": Folder(attributes="\\Sent"), "Deleted Items": [], "Junk": Folder(attributes="\\Junk")}
    with Mailbox(uses, caps="IMAP4rev1 SPECIAL-USE LIST-EXTENDED") as old, Mailbox(there) as new:
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        assert done.returncode == 0
        assert {n: len(f.mail) for n, f in new.folders.items()} == {
            "INBOX": 0, "Sent Items": 1, "Deleted Items": 1, "Junk": 1, "Entwurf": 1}
        assert "Alle shows what is in other folders" in done.stderr and "Markiert" in done.stderr
        assert copied(home, "--folder", "Alle")["copied"] == 1, "who names it gets it"
        assert new.folders["Alle"].keys() == old.folders["Alle"].keys()


def test_other_delimiter_and_prefix(home):
    with source(delimiter="/") as old, Mailbox(delimiter=".", prefix="INBOX.", caps="IMAP4rev1 NAMESPACE LITERAL+") as new, \
            Mailbox() as third:
        old.folders["v1.2/a"] = Folder(fresh(INBOX[:1]))
        old.folders[ARABIC_7].subscribed = True
        accounts(home, old.port, new.port)
        copied(home)
        assert set(new.folders) == {"INBOX", "INBOX." + ARABIC_7, "INBOX." + NESTED_7.replace("/", "."), "INBOX.Empty", "INBOX.v1_2.a"}
        assert {n for n, f in new.folders.items() if f.subscribed} == {"INBOX." + ARABIC_7}
        accounts(home, new.port, third.port)
        copied(home)
        assert set(third.folders) == (set(old.folders) - {"v1.2/a"}) | {"v1_2/a"}
        assert third.folders[ARABIC_7].keys() == old.folders[ARABIC_7].keys()


def test_chosen_folders(home):
    with source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        assert copied(home, "--folder", ARABIC, "--folder", "empty".title())["copied"] == 8
        assert set(new.folders) == {"INBOX", ARABIC_7, "Empty"}
        done = home.barid("copy", "old", "new", "--folder", "Nothing")
        assert done.returncode == 66 and "There is no folder Nothing" in done.stderr
        assert home.barid("copy", "old", "old").returncode == 64
        assert home.barid("copy", "old").returncode == 64
        done = home.barid("copy", "old", "nobody")
        assert done.returncode == 64 and "nobody" in done.stderr


def test_words(home):
    """Each option, and what is none."""
    with source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        for bad in (["--settle"], ["--settle", "x"], ["--settle", "61"], ["--settle", "-1"], ["--settle", ""], ["--folder"], ["--what"], ["third"]):
            done = home.barid("copy", "old", "new", *bad)
            assert done.returncode == 64 and "barid copy FROM TO" in done.stderr, bad
        assert not old.all and not new.all, "nobody was asked for anything"
        done = home.barid("copy", "old", "new", "--dry-run")
        assert "nothing done yet: 18 messages would be copied" in done.stdout and list(new.folders) == ["INBOX"] and not new.folders["INBOX"].mail
        assert not [c for c in new.commands() if c.startswith(("CREATE", "APPEND", "SELECT", "SUBSCRIBE"))]
        done = home.barid("copy", "old", "new", "--quiet", "--settle", "60", "--folder", "INBOX")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and len(new.folders["INBOX"].mail) == 8


def test_what_is_said(home):
    with source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [r.get("folder") for r in rows] == ["INBOX", ARABIC, ARABIC + "/الأرشيف", "Empty", None]
        assert [r["copied"] for r in rows] == [8, 8, 2, 0, 18] and rows[1]["to"] == ARABIC_7
        assert rows[4]["bytes"] == sum(len(m.data) for f in old.folders.values() for m in f.mail) and rows[4]["failure"] is None
        done = home.barid("copy", "old", "new")
        assert len(done.stdout.splitlines()) == 1 and "18 from earlier runs" in done.stdout and not done.stderr
        assert home.barid("copy", "old", "new", "-q").stdout == ""
        assert "من تشغيل سابق 18" in home.barid("copy", "old", "new", "--lang", "ar").stdout
        assert not any(re.match("SELECT|UID STORE|STORE|EXPUNGE|CLOSE|DELETE|RENAME", c) for c in old.commands())


def test_progress_on_a_terminal(home):
    with Mailbox({"INBOX": [Mail(message(n)) for n in range(400)]}) as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        slow = [0]

        def wait(box, session, words):
            if words.startswith(b"APPEND"):
                slow[0] += 1
                if slow[0] % 100 == 0:
                    time.sleep(0.3)
        new.lie = wait
        code, out, shown = home.on_terminal("copy", "old", "new")
        assert code == 0 and len(out.splitlines()) == 1
        assert re.search(rb"INBOX: \d+ copied, \d+ to go, [\d.]+ [KM]?B/s", shown), shown
        assert shown.endswith(b"\r\x1b[K")


# ---- what goes how ----

def test_no_round_trip_for_each_message(home):
    """Each side says nothing before it has had 40 commands: whoever waits for an answer to each message waits for ever."""
    def hold(words_of_it, keep):
        held = []

        def lie(box, session, words):
            if not words.startswith(words_of_it) or len(held) == 40:
                return None
            said = keep(box, session, words)
            held.append(said.replace(b"{tag}", session.tag) if b"{tag}" in said else said + session.tag + b" OK done\r\n")
            if len(held) == 40:
                session.lines.send(b"".join(held))
            return HOLD
        return lie

    def first_alone(box, session, words, then=hold(b"UID FETCH", lambda box, session, words: box.answer(session, words))):
        return then(box, session, words) if b"(UID BODY" in words and b"FETCH 1 " not in words else None
    with Mailbox({"INBOX": [Mail(message(n)) for n in range(100)]}) as old, Mailbox() as new:
        old.lie, new.lie = first_alone, hold(b"APPEND", lambda box, session, words: box.do_append(session, words))
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 100
        same(old, new)


def test_memory_with_a_large_message(home):
    big = b"Subject: big\r\n\r\n" + (b"y" * 98 + b"\r\n") * (1 << 20)
    with Mailbox({"INBOX": [Mail(b"Subject: small\r\n\r\n")]}) as old, Mailbox(keep=False) as new:
        accounts(home, old.port, new.port)
        code, small = client.memory_kib(home, "copy", "old", "new")
        old.folders["INBOX"].add(Mail(big))
        code, most = client.memory_kib(home, "copy", "old", "new")
        assert code == 0 and len(new.folders["INBOX"].mail) == 2
        if not client.asan():
            assert most - small < 2 << 10, (small, most)


@pytest.mark.parametrize("caps", ["IMAP4rev1", "IMAP4rev1 LITERAL-", "IMAP4rev1 UIDPLUS LITERAL-", "IMAP4rev1 LITERAL+"])
def test_literals(home, caps):
    with source() as old, Mailbox(caps=caps) as new:
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 18
        same(old, new)
        assert copied(home)["copied"] == 0
        old.folders["INBOX"].add(Mail(message(0), [], DAYS[0]))  # one more of the same
        assert copied(home)["copied"] == 1
        assert len(new.folders["INBOX"].mail) == 9


def test_keywords_that_are_not_kept(home):
    def refuse(box, session, words):
        if words.startswith(b"APPEND") and b"$Work" in words:
            got = box.read_append(session, words)
            assert not isinstance(got, bytes)
            return b"{tag} NO no such flags\r\n"
        return None
    for permanent, lie, asked in (("", None, 0), ("\\*", refuse, 4)):
        with client.Home() as own, source() as old, Mailbox({"INBOX": Folder(permanent=permanent)}) as new:
            new.lie = lie
            accounts(own, old.port, new.port)
            done = own.barid("copy", "old", "new", "--folder", "INBOX")
            assert done.returncode == 0 and done.stderr.count("does not keep all keywords") == 1, done
            assert len(new.folders["INBOX"].mail) == 8
            assert {f for m in new.folders["INBOX"].mail for f in m.flags} == {"\\Seen", "\\Flagged"}
            assert sum("$Work" in c for c in new.commands()) == asked


def test_more_keywords_than_a_command_has_room_for(home):
    """A server hangs up on a line that is too long for it: the message would stop every run."""
    def strict(box, session, words):
        return b"* BYE line too long\r\n" if len(words) > 8000 else None
    many = ["\\Seen", *(f"word{n}" for n in range(2000)), "x" * 9000]
    with Mailbox({"INBOX": [Mail(message(0)), Mail(message(1), many), Mail(message(2))]}) as old, Mailbox() as new:
        new.lie = strict
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        assert done.returncode == 0 and done.stderr.count("does not keep all keywords") == 1, done
        assert [m.data for m in new.folders["INBOX"].mail] == [message(n) for n in range(3)]
        assert "\\Seen" in new.folders["INBOX"].mail[1].flags and len(new.folders["INBOX"].mail[1].flags) > 300
        assert not new.folders["INBOX"].mail[2].flags


# ---- what does not go ----

def test_too_big(home):
    for limit in (True, False):
        def refuse(box, session, words):
            if words.startswith(b"APPEND") and int(re.search(rb"\{(\d+)", words).group(1)) > 5000:
                box.read_append(session, words)
                return b"{tag} NO [TOOBIG] too big\r\n"
            return None
        with client.Home() as own, source() as old, Mailbox(caps=Mailbox.caps + (" APPENDLIMIT=5000" if limit else "")) as new:
            new.lie = refuse
            accounts(own, old.port, new.port)
            done = own.barid("copy", "old", "new")
            assert done.returncode == 75
            assert f"Message 6 of {ARABIC} is larger than new takes" in done.stderr and "1 messages stayed behind" in done.stderr
            assert len(new.folders[ARABIC_7].mail) == 7 and len(new.folders["INBOX"].mail) == 8
            sent = [c for c in new.commands() if c.startswith("APPEND") and re.search(r"\{\d{5}", c)]
            assert len(sent) == (0 if limit else 1)
            new.lie = None
            new.caps = Mailbox.caps
            assert copied(own)["copied"] == 1
            same(old, new)


def test_full(home):
    def refuse(box, session, words):
        if words.startswith(b"APPEND") and len(box.folders["INBOX"].mail) == 5:
            box.read_append(session, words)
            return b"{tag} NO [OVERQUOTA] full\r\n"
        return None
    with source() as old, Mailbox() as new:
        new.lie = refuse
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        assert done.returncode == 73 and "The mailbox new is full" in done.stderr and "stays behind" not in done.stderr
        assert len(new.folders["INBOX"].mail) == 5 and ARABIC_7 not in new.folders
        new.lie = None
        copied(home, "--settle", "0")
        same(old, new)


@pytest.mark.parametrize("what", ["a message", "a folder", "to make", "to look", "at the source", "not given", "gone meanwhile"])
def test_refused(home, what):
    """One message, or one folder, stays behind with a word; all else goes; the next run brings it."""
    def new_lie(box, session, words):
        if what == "a message" and words.startswith(b"APPEND") and b'"04-Nov' in words:
            box.read_append(session, words)
            return b"{tag} NO I do not like it\r\n"
        if what == "a folder" and words.startswith(b"APPEND " + b'"' + ARABIC_7.encode()):
            box.read_append(session, words)
            return b"{tag} NO [NOPERM] not here\r\n"
        if what == "to make" and words.startswith(b"CREATE") and ARABIC_7.encode() + b'"' in words:
            return b"{tag} NO not this one\r\n"
        return None

    def old_lie(box, session, words):
        if what == "to look" and words.startswith(b'EXAMINE "' + ARABIC_7.encode() + b'"'):
            return b"{tag} NO not this one\r\n"
        if what == "at the source" and words.startswith(b"UID FETCH 4 (UID BODY") and session.selected is box.folders["INBOX"]:
            return b"{tag} NO cannot read it\r\n"
        if what == "not given" and words.startswith(b"UID FETCH 4 (UID BODY") and session.selected is box.folders["INBOX"]:
            return b"* 4 FETCH (FLAGS (\\Seen))\r\n"
        if what == "gone meanwhile" and words.startswith(b"UID FETCH 1 (UID BODY") and session.selected is box.folders["INBOX"]:
            del session.selected.mail[3]
        return None
    with source() as old, Mailbox() as new:
        old.lie, new.lie = old_lie, new_lie
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        assert done.returncode == (0 if what == "gone meanwhile" else 75), done
        words = {"a message": "Message 4 of INBOX stays behind: the server of new says: I do not like it",
                 "a folder": f"The folder {ARABIC} was left: the server of new says: not here",
                 "to make": "the server of new says: not this one", "to look": "the server of old says: not this one",
                 "at the source": "the server of old says: cannot read it", "gone meanwhile": "",
                 "not given": "Message 4 of INBOX stays behind: the server of old says: it is not there"}[what]
        assert words in done.stderr
        whole = sum(len(f.mail) for f in new.folders.values())
        assert whole == (8 if what == "a folder" else 17 if what in ("a message", "at the source", "not given", "gone meanwhile") else 10)
        old.lie = new.lie = None
        assert copied(home, "--settle", "0")["copied"] == (0 if what == "gone meanwhile" else 18 - whole)
        same(old, new)


# ---- what is there already ----

@pytest.mark.parametrize("how", ["as it is", "other dates", "changed", "no uids"])
def test_mail_that_another_program_brought(home, how):
    with source() as old, Mailbox({"INBOX": [], ARABIC_7: []}, caps="IMAP4rev1 LITERAL+" if how == "no uids" else None) as new:
        for name, ids in (("INBOX", range(0, 8, 2)), (ARABIC_7, (1, 2, 4, 7))):
            for at in ids:
                m = old.folders[name].mail[at]
                bare = b"Message-ID" not in m.data
                date = DAYS[27] if how == "other dates" and not bare else m.date
                new.folders[name].add(Mail(b"Received: x\r\n" + m.data if how == "changed" and not bare else m.data, m.flags, date))
        accounts(home, old.port, new.port)
        assert copied(home, "--dry-run")["found"] == 8
        assert not any(c.startswith(("APPEND", "CREATE", "SELECT", "SUBSCRIBE")) for c in new.commands())
        result = copied(home)
        assert (result["copied"], result["found"]) == (10, 8)
        assert {n: len(f.mail) for n, f in new.folders.items()} == {n: len(f.mail) for n, f in old.folders.items()}
        if how in ("as it is", "no uids"):
            same(old, new)
        again = copied(home)
        assert (again["copied"], again["found"]) == (0, 0)


def test_uidvalidity(home):
    with source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        copied(home)
        for box in (old, new):  # all UIDs mean something else
            folder = box.folders["INBOX"]
            folder.uidvalidity += 1
            mail, folder.mail, folder.uidnext = folder.mail[::-1], [], 50
            for one in mail:
                folder.add(one)
            result = copied(home)
            assert (result["copied"], result["found"]) == (0, 8)
            same(old, new)
        del new.folders["Empty"], new.folders[ARABIC_7]  # gone there: it is made again
        assert copied(home)["copied"] == 8
        same(old, new)
        old.folders["INBOX"].uidvalidity = 0
        done = home.barid("copy", "old", "new")
        assert done.returncode == 75 and "UIDVALIDITY" in done.stderr


def test_two_mailboxes_into_one(home):
    with source() as old, Mailbox({"INBOX": fresh(INBOX[:3]) + [Mail(message(70), [], DAYS[1])]}) as other, Mailbox() as new:
        accounts(home, old.port, new.port)
        copied(home)
        accounts(home, other.port, new.port)
        home.account("old", open(home.conf, encoding="utf-8").read().partition("account new")[1] +
                     open(home.conf, encoding="utf-8").read().partition("account new")[2],
                     imap=f"127.0.0.1 {other.port} none", maildir=None, address="omar@barid.test")
        result = copied(home)
        assert (result["copied"], result["found"]) == (1, 3)
        assert len(new.folders["INBOX"].mail) == 9
        assert copied(home)["copied"] == 0


# ---- servers that lie ----

def body(at, uid, data, said=None):
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (at, uid, len(data) if said is None else said, data)


def behind(at, uid, data):
    return b"* %d FETCH (BODY[] {%d}\r\n%s UID %d)\r\n" % (at, len(data), data, uid)


SOURCE_LIES = {
    "another uid behind": lambda m: behind(4, 5, m),
    "a uid twice, the second behind": lambda m: body(4, 4, m) + behind(4, 4, m),
    "another uid": lambda m: body(4, 5, m),
    "another message": lambda m: body(5, 5, message(4)),
    "no uid": lambda m: b"* 4 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(m), m),
    "twice": lambda m: body(4, 4, m) * 2,
    "two bodies": lambda m: b"* 4 FETCH (UID 4 BODY[] {3}\r\nabc BODY[] {3}\r\nabc)\r\n",
    "less than said": lambda m: body(4, 4, m[:-20], len(m)),
    "more than said": lambda m: body(4, 4, m + b"more", len(m)),
    "much more than said": lambda m: (body(4, 4, m, len(m) + 10000000), False),
    "half, then gone": lambda m: (body(4, 4, m)[:200], False),
    "all but its end, then gone": lambda m: (body(4, 4, m)[:-3], False),
    "bye in the middle": lambda m: b"* BYE enough\r\n",
    "no behind the message's beginning": lambda m: b"* 4 FETCH (UID 4 BODY[] {%d}\r\n%s\r\n{tag} NO sorry\r\n" % (len(m), m),
    "another part": lambda m: b"* 4 FETCH (UID 4 BODY[TEXT] {3}\r\nabc)\r\n",
    "garbage": lambda m: b"\0\r\n",
    "nested": lambda m: b"* 4 FETCH " + b"(" * 1000 + b"\r\n",
}


@pytest.mark.parametrize("name", SOURCE_LIES)
def test_a_source_that_lies(home, name):
    """No message comes that is not the one that was asked for, whole. (A second body of the same is nonsense; the first was right.)"""
    def lie(box, session, words):
        if not words.startswith(b"UID FETCH 4 (UID BODY") or session.selected is not box.folders["INBOX"]:
            return None
        said = SOURCE_LIES[name](box.folders["INBOX"].mail[3].data)
        if isinstance(said, tuple):
            session.lines.send(said[0])
            return False
        return said
    with source() as old, Mailbox() as new:
        old.lie = lie
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        assert done.returncode in (75, 76), done
        assert "Copy again" in done.stderr
        allowed = {m.key() for m in old.folders["INBOX"].mail}
        assert all(m.key() in allowed for m in new.folders["INBOX"].mail)
        assert len(new.folders["INBOX"].mail) >= 3 and not new.wrong
        old.lie = None
        new.quiet()
        copied(home, "--settle", "0")
        same(old, new)


def test_a_source_that_says_the_uid_behind_the_bytes(home):
    """It is asked for one at a time."""
    def lie(box, session, words):
        if b"(UID BODY" not in words:
            return None
        box.asked.append(words)
        (at, mail), = box.chosen(session, words)
        assert not session.lines.buffer, "nothing more is asked for"
        return behind(at, mail.uid, mail.data)
    with source() as old, Mailbox() as new:
        old.lie, old.asked = lie, []
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 18 and len(old.asked) == 18
        same(old, new)


def test_another_uid_behind_the_only_one(home):
    def lie(box, session, words):
        return behind(1, 2, message(1)) if words.startswith(b"UID FETCH 1 (UID BODY") else None
    with Mailbox({"INBOX": fresh(INBOX)}) as old, Mailbox() as new:
        old.lie = lie
        accounts(home, old.port, new.port)
        assert home.barid("copy", "old", "new").returncode == 76
        new.quiet()
        assert not new.folders["INBOX"].mail
        old.lie = None
        copied(home, "--settle", "0")
        same(old, new)


def test_answers_together(home):
    """As Dovecot does: what several commands asked for, then the OK of each. One that is gone by then is missing among them."""
    def lie(box, session, words):
        if b"(UID BODY" not in words or session.selected is not box.folders["INBOX"] or box.held is None:
            return None
        box.held.append((session.tag, words))
        if len(box.held) == 1 or len(box.held) < len(box.folders["INBOX"].mail):
            return box.answer(session, words) if len(box.held) == 1 else HOLD
        together, box.held = box.held[1:], None
        del session.selected.mail[3]
        session.lines.send(b"".join(box.answer(session, w) for _, w in together) +
                           b"".join(tag + b" OK done\r\n" for tag, _ in together))
        return HOLD
    with source() as old, Mailbox() as new:
        old.lie, old.held = lie, []
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 17
        same(old, new)


def test_out_of_turn_and_then_refused_with_keywords(home):
    """Each is a reason to go once more: one message may have both."""
    def together(box, session, words):
        if b"(UID BODY" not in words or box.held is None:
            return None
        box.held.append((session.tag, words))
        if len(box.held) == 1 or len(box.held) < len(box.folders["INBOX"].mail):
            return box.answer(session, words) if len(box.held) == 1 else HOLD
        late, box.held = box.held[1:], None
        session.lines.send(b"".join(box.answer(session, w) for _, w in reversed(late)) + b"".join(tag + b" OK done\r\n" for tag, _ in late))
        return HOLD

    def refuse(box, session, words):
        if words.startswith(b"APPEND") and b"$Work" in words:
            box.read_append(session, words)
            return b"{tag} NO no such flags\r\n"
        return None
    with Mailbox({"INBOX": fresh(INBOX)}) as old, Mailbox() as new:
        old.lie, old.held, new.lie = together, [], refuse
        accounts(home, old.port, new.port)
        result = copied(home)
        assert (result["copied"], result["failed"]) == (8, 0)
        assert {m.data for m in new.folders["INBOX"].mail} == {m.data for m in INBOX} and len(new.folders["INBOX"].mail) == 8


def test_tls(home, barid):
    with source() as box:
        box.folders["INBOX"].add(Mail(message(50, "large " * 300000), [], DAYS[3]))
        old, new = Real(barid.port("imap"), barid.user()), Real(barid.port("imap"), barid.user())
        old.fill(box)
    accounts(home, (old.port, old.user), (new.port, new.user))
    with open(home.conf, encoding="utf-8") as f:
        text = f.read().replace(f"imap 127.0.0.1 {old.port} none", f"imap localhost {barid.port('imaps')} tls\n  ca-file {barid.ca}")
    with open(home.conf, "w", encoding="utf-8") as f:
        f.write(text)
    assert copied(home)["copied"] == 19
    assert new.table() == old.table()


def test_a_list_that_is_too_short(home):
    """What is listed goes; what is not is not said to be there from an earlier run."""
    def lie(box, session, words):
        if b"RFC822.SIZE" not in words or session.selected is not box.folders["INBOX"]:
            return None
        return box.answer(session, words).partition(b"* 6 FETCH")[0]
    with source() as old, Mailbox() as new:
        old.lie = lie
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 75 and "INBOX: the server of old has 3 messages that it did not list" in done.stderr, done
        assert (rows[0]["copied"], rows[0]["known"], rows[0]["stopped"], rows[-1]["copied"]) == (5, 0, 1, 15)
        assert home.barid("copy", "old", "new", "--dry-run").returncode == 75
        old.lie = None
        assert copied(home)["copied"] == 3
        same(old, new)
        del old.folders["INBOX"].mail[2]  # what was copied and is gone since is not missed
        assert copied(home)["copied"] == 0


def test_sizes_that_lie(home):
    """RFC822.SIZE is wrong, always: what comes is taken; after a torn run it is still the same message."""
    def lie(box, session, words):
        said = box.answer(session, words) if b"RFC822.SIZE" in words else None
        return said and re.sub(rb"RFC822.SIZE \d+", b"RFC822.SIZE 99", said)
    with Mailbox({"INBOX": fresh(INBOX)}) as old, Mailbox() as new:
        old.lie = lie
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 8
        same(old, new)
        os.unlink(os.path.join(home.state, "new", "copy.db"))
        assert copied(home)["found"] == 8
        same(old, new)


@pytest.mark.parametrize("what", ["list", "rows", "flags", "untagged", "names"])
def test_answers_without_end(home, what):
    def lie(box, session, words):
        pieces = {"list": (b"LIST", b'* LIST () "/" f%d\r\n'), "rows": (b"UID FETCH 1:", b"* 1 FETCH (UID %d RFC822.SIZE 1 FLAGS ())\r\n"),
                  "flags": (b"UID FETCH 1 (UID BODY", b"* 1 FETCH (FLAGS (\\Seen) X %d)\r\n"), "untagged": (b"UID FETCH 1 (UID BODY", b"* OK %d\r\n"),
                  "names": (b"UID FETCH 1:", b"* 1 FETCH (UID %d RFC822.SIZE 1 FLAGS (" + b"x" * 3000 + b"%d))\r\n")}
        start, piece = pieces[what]
        if not words.startswith(start):
            return None
        at = 0
        while at < 1500000:  # more than any limit; far less than for ever
            rows = b"".join(piece % ((n,) * piece.count(b"%d")) for n in range(at + 1, at + 2001))
            at += 2000
            session.lines.send(rows)
        return False
    with Mailbox({"INBOX": fresh(INBOX)}) as old, Mailbox() as new:
        old.lie = lie
        accounts(home, old.port, new.port)
        code, most = client.memory_kib(home, "copy", "old", "new")
        assert code in (75, 76), code
        assert client.asan() or most < 200 << 10, most
        old.lie = None
        new.quiet()
        copied(home, "--settle", "0")
        same(old, new)


def stored_then(end):
    """The message is taken, and then something else than its OK is said."""
    def lie(box, session, words):
        if not words.startswith(b"APPEND") or len(box.folders["INBOX"].mail) != 3:
            return None
        got = box.read_append(session, words)
        if isinstance(got, bytes):
            return got
        box.store(*got)
        return end
    return lie


def instead(said):
    def lie(box, session, words):
        return said if words.startswith(b"APPEND") and len(box.folders["INBOX"].mail) == 3 else None
    return lie


TARGET_LIES = {
    "gone before its answer": stored_then(False),
    "bye after it was stored": stored_then(b"* BYE enough\r\n"),
    "another tag": stored_then(b"zz OK done\r\n"),
    "go on": stored_then(b"+ more\r\n"),
    "gone before it": instead(False),
    "bye before it": instead(b"* BYE enough\r\n"),
    "an answer without it": instead(b"{tag} OK [APPENDUID 7 4] done\r\n"),
    "garbage": instead(b"\0\r\n"),
}


@pytest.mark.parametrize("caps", ["IMAP4rev1 UIDPLUS LITERAL+", "IMAP4rev1"])
@pytest.mark.parametrize("name", TARGET_LIES)
def test_a_target_that_lies(home, name, caps):
    with source() as old, Mailbox(caps=caps) as new:
        new.lie = TARGET_LIES[name]
        accounts(home, old.port, new.port)
        done = home.barid("copy", "old", "new")
        if name == "an answer without it" and "LITERAL+" in caps:
            assert done.returncode in (0, 75, 76)  # it says it has it: nobody can know better
            return
        assert done.returncode in (75, 76), done
        new.lie = None
        new.wrong.clear()
        new.quiet()
        copied(home, "--settle", "0")
        same(old, new)


@pytest.mark.parametrize("code", [b"[APPENDUID 7 0]", b"[APPENDUID 8 4]", b"[APPENDUID 7 x]", b"[APPENDUID]", b"[APPENDUID 7 4294967295]", b"[APPENDUID 7 1]", b""])
def test_uids_that_lie(home, code):
    with source() as old, Mailbox() as new:
        def lie(box, session, words):
            if not words.startswith(b"APPEND"):
                return None
            got = box.read_append(session, words)
            box.store(*got)
            return b"{tag} OK " + code + b" done\r\n"
        new.lie = lie
        accounts(home, old.port, new.port)
        assert copied(home)["copied"] == 18
        assert copied(home)["copied"] == 0
        same(old, new)


# ---- torn runs ----

def torn(home, old, new, case):
    new.quiet()
    done = home.barid("copy", "old", "new", "--settle", "0")
    assert done.returncode == 0, (case, done)
    a, b = old.table(), new.table()
    assert a == b, (case, {n: (len(a[n]), len(b.get(n, []))) for n in a})
    assert not new.wrong, case


def half_before(home, old):
    """A whole run over a part of the mail; then the rest comes to the source."""
    kept = {name: folder.mail for name, folder in old.folders.items()}
    for folder in old.folders.values():
        folder.mail = folder.mail[:len(folder.mail) // 2]
    copied(home)
    for name, mail in kept.items():
        old.folders[name].mail = mail


@pytest.mark.parametrize("caps", ["IMAP4rev1 UIDPLUS LITERAL+", "IMAP4rev1"])
@pytest.mark.parametrize("way", ["old down", "old up", "new down", "new up"])
def test_cut_anywhere(way, caps):
    side, direction = way.split()
    cut_by = "cut_after" if direction == "down" else "cut_up_after"
    with client.Home() as home, source() as old, Mailbox(caps=caps) as new, \
            Proxy((old if side == "old" else new).port) as proxy:
        accounts(home, proxy.port if side == "old" else old.port, proxy.port if side == "new" else new.port)
        copied(home)
        total = proxy.passed if direction == "down" else proxy.passed_up
    rng = random.Random(way)
    cuts = sorted(rng.sample(range(1, total), 12 if client.asan() else 16)) + [total - 3, total - 1]
    if os.environ.get("BARID_CUT_EVERY"):
        cuts = range(1, total, client.cut_step(1))
    for cut in cuts:
        with client.Home() as home, source() as old, Mailbox(caps=caps) as new:
            with Proxy((old if side == "old" else new).port, **{cut_by: cut}) as proxy:
                accounts(home, proxy.port if side == "old" else old.port, proxy.port if side == "new" else new.port)
                home.barid("copy", "old", "new")
            accounts(home, old.port, new.port)
            torn(home, old, new, (way, caps, cut))


DEATHS = {"write": (client.KILL, client.KILL_AFTER, client.KILL_HALF), "send": (client.KILL, client.KILL_AFTER, client.KILL_HALF),
          "sync": (client.KILL, client.KILL_AFTER)}


@pytest.mark.parametrize("caps", ["IMAP4rev1 UIDPLUS LITERAL+", "IMAP4rev1"])
def test_killed_anywhere(shim, caps):
    with client.Home() as home, source() as old, Mailbox(caps=caps) as new:
        accounts(home, old.port, new.port)
        assert home.barid("copy", "old", "new", env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    assert counts["sync"] > 3 and counts["write"] > 10 and counts["send"] > 10
    cases = [(call, n, kind) for call, kinds in DEATHS.items() for n in range(1, counts[call] + 1) for kind in kinds]
    if os.environ.get("BARID_SYNC_EVERY") != "1":
        cases = random.Random(caps).sample(cases, 32)
    for call, n, kind in cases:
        with client.Home() as home, source() as old, Mailbox(caps=caps) as new:
            accounts(home, old.port, new.port)
            if n % 2:
                half_before(home, old)
            done = home.barid("copy", "old", "new", env=shim.arm(home, call, kind, n=n))
            assert not shim.hits() or done.returncode < 0, (call, n, kind)
            torn(home, old, new, (call, n, kind))


def test_the_disk_refuses(shim):
    """Said with an error; nothing is lost or doubled."""
    import errno
    with client.Home() as home, source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        assert home.barid("copy", "old", "new", env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    cases = [(call, n, error) for call, error in (("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO)) for n in range(1, counts[call] + 1)]
    for call, n, error in random.Random("disk").sample(cases, 18):
        with client.Home() as home, source() as old, Mailbox() as new:
            accounts(home, old.port, new.port)
            done = home.barid("copy", "old", "new", env=shim.arm(home, call, client.ERRNO, error, n))
            assert done.returncode >= 0 and (done.returncode == 0 or done.stderr), (call, n, error, done)
            torn(home, old, new, (call, n, error))


def test_a_server_that_is_still_at_work(home):
    """The line breaks, and the server files what it had received, slowly: the next run waits for that."""
    def slow(box, session, words):
        if words.startswith(b"APPEND"):
            time.sleep(0.15)
    with Mailbox({"INBOX": [Mail(message(n)) for n in range(12)]}) as old, Mailbox() as new:
        new.lie = slow
        with Proxy(new.port, cut_up_at=b"Subject: " + "رسالة 11".encode()) as proxy:
            accounts(home, old.port, proxy.port)
            assert home.barid("copy", "old", "new").returncode == 75
        accounts(home, old.port, new.port)
        new.lie = None
        assert copied(home, "--settle", "1")["copied"] + len(new.folders["INBOX"].mail) >= 12
        new.quiet()
        same(old, new)


def test_torn_and_then_another_folder(home):
    """What the torn run had sent lies in the folder of then; what is there is no copy in the folder of now."""
    with Mailbox({"INBOX": [], "Gesendet": Folder(fresh(INBOX), attributes="\\Sent")}) as old, Mailbox() as new:
        def torn_off(box, session, words):
            return False if words.startswith(b"APPEND") and len(box.folders["Gesendet"].mail) == 3 else None
        new.lie = torn_off
        accounts(home, old.port, new.port)
        assert home.barid("copy", "old", "new").returncode == 75
        new.lie = None
        new.quiet()
        new.folders["Out"] = Folder(uidvalidity=7, attributes="\\Sent")
        assert copied(home, "--settle", "1")["copied"] == 8
        assert new.folders["Out"].keys() == old.folders["Gesendet"].keys()


def test_one_run_at_a_time(home):
    with source() as old, Mailbox() as new:
        accounts(home, old.port, new.port)
        copied(home)
        gate = []

        def wait(box, session, words):
            if words.startswith(b"EXAMINE") and not gate:
                gate.append(home.barid("copy", "old", "new"))
        old.lie = wait
        copied(home)
        assert gate[0].returncode == 75 and "another" in gate[0].stderr.lower(), gate
