"""barid import into an account of accounts.conf, by IMAP: Maildir and mbox, whole, once; cut and killed anywhere; and which of two is meant."""
import contextlib
import errno
import json
import os
import random
import re
import shutil
import sqlite3
import time

import pytest

import client
import peers
from capproxy import Proxy
from deflating import Deflating
from imapside import Folder, Mail, Mailbox
from test_copy import ARABIC, ARABIC_7, Real, message

def text(folder, n):
    """The fourth is the third once more."""
    n = 2 if n == 3 else n
    return message(1000 * folder + n, "x" * (n * 700), head=n % 5 != 4)


def when(n):
    return 1760000000 + (2 if n == 3 else n)


def maildir(root, count=12):
    """INBOX, an Arabic folder and one in it (Maildir++), with flags, keywords and dates; the same twice, and without Message-IDs. {name: count}."""
    names = {"INBOX": "", ARABIC_7: "." + ARABIC_7, ARABIC_7 + "/x": "." + ARABIC_7 + ".x", "Sent": ".Sent"}
    for at, sub in enumerate(names.values()):
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(root, sub, part))
        with open(os.path.join(root, sub, "dovecot-keywords"), "w", encoding="ascii") as f:
            f.write("0 $Work\n")
        for n in range(count):
            data = text(at, n).replace(b"\r\n", b"\n")
            flags = ["S", "F", "RS", "Sa", "DT", ""][n % 6]
            with open(os.path.join(root, sub, "cur", f"{when(n)}.M{n}.here:2,{flags}"), "wb") as f:
                f.write(data)
            os.utime(f.name, (when(n), when(n)))
    return dict.fromkeys(names, count)


def mbox(path, count=12):
    with open(path, "wb") as f:
        for n in range(count):
            text = message(n, head=n % 5 != 4).replace(b"\r\n", b"\n")
            f.write(b"From a@example.org Sat Nov  1 10:00:%02d 2025\n" % n + b"Status: RO\n" + text.replace(b"\nFrom ", b"\n>From ") + b"\n")


def account(home, port, user=None, name="new", more=""):
    home.file("secret", client.PASSWORD + "\n")
    home.account(name, more=more, imap=f"127.0.0.1 {port} none", maildir=None, address=user.address if user else "salma@barid.test")


def bring(home, path, *words, code=0, env=None):
    done = home.barid("import", "--account", "new", path, *words, env=env)
    assert done.returncode == code, done
    return done


def counts(new):
    return {name: len(folder.mail) for name, folder in new.folders.items()}


def test_a_maildir(home):
    path = os.path.join(home.folder, "Old")
    wanted = maildir(path)
    with Mailbox({"INBOX": [], "Sent Items": Folder(attributes="\\Sent")}) as new:
        account(home, new.port)
        done = bring(home, path)
        assert "new: 48 messages came in, 0 were there" in done.stdout
        assert counts(new) == {("Sent Items" if n == "Sent" else n): c for n, c in wanted.items()} and not new.wrong
        box = new.folders[ARABIC_7]
        data = sorted(m.data for m in box.mail)
        assert data == sorted(text(1, n) for n in range(12))
        assert {(m.data, m.key()[2].partition(" +")[0], m.flags) for m in box.mail if "$Work" in m.flags} == {
            (text(1, n), time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(when(n))).lstrip("0"), frozenset({"\\Seen", "$Work"})) for n in (3, 9)}
        assert {n for n, f in new.folders.items() if f.subscribed} == {"INBOX", ARABIC_7, ARABIC_7 + "/x", "Sent Items"}
        before = new.table()
        assert "0 messages came in, 48 were there" in bring(home, path).stdout
        assert new.table() == before and sum(c.startswith("APPEND") for c in new.commands()) == 48
        with open(os.path.join(path, "new", "1770000000.M1.here"), "wb") as f:
            f.write(b"Subject: one more\n\ntext\n")
        assert "1 messages came in, 48 were there" in bring(home, path).stdout
        assert not [c for c in new.commands() if c.startswith(("STORE", "UID STORE", "EXPUNGE", "UID EXPUNGE", "DELETE"))]
        os.unlink(os.path.join(home.state, "new", "copy.db"))
        done = bring(home, path)
        assert "0 messages came in, 49 were there" in done.stdout
        assert os.listdir(os.path.join(home.state, "new")) == ["copy.db"], "nothing is left behind"


@pytest.mark.parametrize("kind", ["barid", "dovecot"])
def test_an_mbox_into_real_servers(home, barid, kind):
    path = os.path.join(home.folder, "old.mbox")
    mbox(path)
    peer = peers.dovecot("maildir:~/Maildir") if kind == "dovecot" else None
    if kind == "dovecot" and not peer:
        pytest.skip("dovecot-imapd is not installed")
    user = None if peer else barid.user()
    new = Real(peer.port if peer else barid.port("imap"), user)
    account(home, new.port, user)
    for expected in ("12 messages came in, 0 were there", "0 messages came in, 12 were there"):
        assert expected in bring(home, path, "--mailbox", ARABIC).stdout
        rows = new.table()[ARABIC_7]
        assert len(rows) == 12 and all("\\Seen" in flags for _, flags, _ in rows)
        assert sorted(moment for _, _, moment in rows) == [1761991200.0 + n for n in range(12)]
    if peer:
        peer.__exit__()


def test_what_another_program_brought(home):
    """Half of it is there: with other dates, changed, in another order."""
    path = os.path.join(home.folder, "Old")
    maildir(path)
    with Mailbox() as new:
        account(home, new.port)
        bring(home, path)
        with Mailbox() as other:
            kept = random.Random(1).sample(new.folders["INBOX"].mail, 7)
            for at, mail in enumerate(kept):
                data = mail.data if b"Message-ID" not in mail.data or at % 2 else b"Received: x\r\n" + mail.data
                other.folders["INBOX"].add(Mail(data, mail.flags, mail.date if data != mail.data or at % 3 else "01-Jan-2025 00:00:00 +0000"))
            account(home, other.port)
            os.unlink(os.path.join(home.state, "new", "copy.db"))
            assert "41 messages came in, 7 were there" in bring(home, path).stdout
            assert counts(other) == counts(new)


def test_keywords_that_are_refused(home):
    def refuse(box, session, words):
        if words.startswith(b"APPEND") and b"$Work" in words:
            box.read_append(session, words)
            return b"{tag} NO no such flags\r\n"
        return None
    path = os.path.join(home.folder, "Old")
    maildir(path, 40)
    with Mailbox() as new:
        new.lie = refuse
        account(home, new.port)
        done = bring(home, path)
        assert done.stderr.count("does not keep all keywords") == 1
        assert set(counts(new).values()) == {40} and not any("$Work" in m.flags for f in new.folders.values() for m in f.mail)


def test_what_is_said(home):
    """A line for each mailbox and one for all to programs; to people how far it is, on a terminal."""
    path = os.path.join(home.folder, "Old")
    maildir(path)
    first = []

    def refuse(box, session, words):
        if words.startswith(b"APPEND") and not first:
            first.append(box.read_append(session, words))
            return b"{tag} NO not this one\r\n"
        return None

    with Mailbox({"INBOX": [], "Sent Items": Folder(attributes="\\Sent")}) as new:
        account(home, new.port)
        new.lie = refuse
        rows = [json.loads(line) for line in bring(home, path, "--json", code=75).stdout.splitlines()]
        assert {r["folder"]: r["to"] for r in rows[:4]} == {
            "INBOX": "INBOX", "Sent": "Sent Items", ARABIC: ARABIC_7, ARABIC + "/x": ARABIC_7 + "/x"}
        assert [r["copied"] + r["failed"] for r in rows] == [12, 12, 12, 12, 48]
        assert rows[4]["from"] == path and rows[4]["to"] == "new" and rows[4]["failed"] == 1 and rows[4]["failure"] is None
        assert rows[4]["bytes"] == sum(len(m.data) for f in new.folders.values() for m in f.mail)
        code, out, shown = home.on_terminal("import", "--account", "new", path)
        assert code == 0 and "1 messages came in, 47 were there" in out
        assert re.search(rb": \d+ copied, \d+ to go, ", shown) and shown.endswith(b"\r\x1b[K"), shown
        rows = [json.loads(line) for line in bring(home, path, "--json").stdout.splitlines()]
        assert [(r["known"], r["found"], r["copied"]) for r in rows] == [(12, 0, 0)] * 4 + [(48, 0, 0)]
        new.lie = lambda box, session, words: b"* BYE enough\r\n" if words.startswith(b"SELECT") else None
        rows = [json.loads(line) for line in bring(home, path, "--json", code=75).stdout.splitlines()]
        assert rows[-1]["failure"] and rows[-1]["copied"] == 0


def test_compressed(home):
    path = os.path.join(home.folder, "Old")
    maildir(path)
    with Mailbox({"INBOX": []}) as new, Deflating(new.port) as proxy:
        account(home, proxy.port, more="  compress yes\n")
        bring(home, path)
        assert set(counts(new).values()) == {12} and not new.wrong
        assert proxy.asked == 1


def test_what_is_not_there_is_said_before_any_login(home):
    with Mailbox({"INBOX": []}) as new:
        account(home, new.port)
        done = bring(home, os.path.join(home.folder, "nothing"), code=66)
        assert "nothing" in done.stderr and not new.commands()


@pytest.mark.parametrize("what", ["too big", "limit", "full", "no", "folder", "bye"])
def test_what_does_not_go(home, what):
    def refuse(box, session, words):
        if not words.startswith(b"APPEND"):
            return b"{tag} NO not this\r\n" if what == "folder" and words.startswith(b"CREATE") and b"/x" in words else None
        big = int(words.partition(b"{")[2].partition(b"+")[0]) > 7500
        if (what == "too big" and big) or (what == "no" and b"\\Draft" in words) or what == "full" and len(box.folders["INBOX"].mail) == 5:
            box.read_append(session, words)
            return {"too big": b"{tag} NO [TOOBIG] x\r\n", "no": b"{tag} NO never\r\n", "full": b"{tag} NO [OVERQUOTA] x\r\n"}[what]
        return b"* BYE enough\r\n" if what == "bye" and len(box.folders["INBOX"].mail) == 5 else None
    path = os.path.join(home.folder, "Old")
    maildir(path)
    with Mailbox(caps=Mailbox.caps + (" APPENDLIMIT=7500" if what == "limit" else "")) as new:
        new.lie = refuse
        account(home, new.port)
        done = bring(home, path, code={"full": 73}.get(what, 75))
        words = {"too big": "takes none so large", "limit": "takes none so large", "full": "The mailbox new is full", "no": "says: never",
                 "folder": "was left: the server of new says: not this", "bye": "Import again"}
        assert words[what] in done.stderr
        assert sum(counts(new).values()) == {"too big": 44, "limit": 44, "full": 5, "no": 40, "folder": 36, "bye": 5}[what]
        new.lie, new.caps = None, Mailbox.caps
        new.quiet()
        settled(home)
        bring(home, path)
        assert set(counts(new).values()) == {12} and not new.wrong


def test_a_message_of_a_folder_that_was_left(home):
    """Refused for its keyword, it would go once more; its folder is left before that: it goes into no other."""
    def refuse(box, session, words):
        if not words.startswith(b'APPEND "INBOX"'):
            return None
        box.read_append(session, words)
        return b"{tag} NO no such flags\r\n" if b"$Work" in words else b"{tag} NO [NOPERM] no more\r\n"
    path = os.path.join(home.folder, "Old")
    maildir(path)
    with Mailbox() as new:
        new.lie = refuse
        account(home, new.port)
        done = bring(home, path, code=75)
        assert "The folder INBOX was left: the server of new says: no more" in done.stderr
        assert counts(new) == {"INBOX": 0, ARABIC_7: 12, ARABIC_7 + "/x": 12, "Sent": 12}
        new.lie = None
        settled(home)
        bring(home, path)
        for at, name in enumerate(("INBOX", ARABIC_7, ARABIC_7 + "/x", "Sent")):
            assert sorted(m.data for m in new.folders[name].mail) == sorted(text(at, n) for n in range(12)), name


def test_many_alike_are_each_fetched_once(home):
    """Without Message-IDs and of one size only bytes tell them apart."""
    path = os.path.join(home.folder, "Old")
    maildir(path, 0)
    texts = [b"Subject: report\r\n\r\nnumber %03d\r\n" % n for n in range(40)]
    for n, data in enumerate(texts):
        with open(os.path.join(path, "cur", f"{1760000000 + n}.M{n}.here:2,S"), "wb") as f:
            f.write(client.local(data))
    with Mailbox({"INBOX": [Mail(data) for data in reversed(texts[5:])] + [Mail(b"Subject: report\r\n\r\nnumber xyz\r\n")]}) as new:
        account(home, new.port)
        assert "5 messages came in, 35 were there" in bring(home, path).stdout
        assert sum("BODY.PEEK[]" in c for c in new.commands()) <= 36
        assert len(new.folders["INBOX"].mail) == 41


def test_a_file_that_cannot_be_read_to_its_end(home, shim):
    """What went before that is waited for, and known."""
    path = os.path.join(home.folder, "old.mbox")
    with open(path, "wb") as f:
        for n in range(60):
            f.write(b"From a@example.org Sat Nov  1 10:00:%02d 2025\n" % n + client.local(message(n, "x" * 9000)) + b"\n")
    with Mailbox() as new:
        account(home, new.port)
        assert home.barid("import", "--account", "new", path, env=shim.arm(home, "read")).returncode == 0
        reads = shim.counts()["read"]
        assert len(new.folders["INBOX"].mail) == 60
    for n in range(reads, 0, -1):
        with Mailbox() as new:
            account(home, new.port)
            if os.path.isdir(home.state):
                shutil.rmtree(home.state)
            done = home.barid("import", "--account", "new", path, env=shim.arm(home, "read", client.ERRNO, errno.EIO, n))
            new.quiet()
            here = len(new.folders["INBOX"].mail)
            if not here or here == 60:
                continue
            assert done.returncode == 66 and "Input/output error" in done.stderr and f"{here} messages came in" in done.stdout, done
            with contextlib.closing(sqlite3.connect(os.path.join(home.state, "new", "copy.db"))) as db:
                assert db.execute("SELECT count(*) FROM message").fetchone() == (here,)
            settled(home)
            bring(home, path)
            assert len(new.folders["INBOX"].mail) == 60
            return
    raise AssertionError("no read failed in the middle")


# ---- torn runs ----

def torn(home, new, path, case):
    new.quiet()
    done = home.barid("import", "--account", "new", path, env={"TZ": "UTC"})
    assert done.returncode == 0, (case, done)
    assert set(counts(new).values()) == {6}, (case, counts(new))
    for folder in new.folders.values():
        assert len({m.data for m in folder.mail}) == 5, case  # one of them is there twice
    assert not new.wrong, case


def settled(home):
    """As if the torn run were long ago: there is nothing to wait for."""
    path = os.path.join(home.state, "new", "copy.db")
    if os.path.exists(path):
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
            db.execute("UPDATE folder SET busy_s = 1 WHERE busy_s > 0")
            db.commit()


@pytest.mark.parametrize("caps", ["IMAP4rev1 UIDPLUS LITERAL+", "IMAP4rev1"])
@pytest.mark.parametrize("way", ["cut_after", "cut_up_after"])
def test_cut_anywhere(tmp_path, way, caps):
    path = str(tmp_path / "Old")
    maildir(path, 6)
    with client.Home() as home, Mailbox(caps=caps) as new, Proxy(new.port) as proxy:
        account(home, proxy.port)
        bring(home, path)
        total = proxy.passed if way == "cut_after" else proxy.passed_up
    cuts = sorted(random.Random(way).sample(range(1, total), 20))
    for cut in range(1, total, client.cut_step(1)) if os.environ.get("BARID_CUT_EVERY") else cuts:
        with client.Home() as home, Mailbox(caps=caps) as new:
            with Proxy(new.port, **{way: cut}) as proxy:
                account(home, proxy.port)
                home.barid("import", "--account", "new", path)
            account(home, new.port)
            new.quiet()
            settled(home)
            torn(home, new, path, (way, cut))


def test_killed_anywhere(shim, tmp_path):
    path = str(tmp_path / "Old")
    maildir(path, 6)
    with client.Home() as home, Mailbox() as new:
        account(home, new.port)
        assert home.barid("import", "--account", "new", path, env=shim.arm(home)).returncode == 0
        count = shim.counts()
    assert count["send"] > 8 and count["sync"] > 3
    cases = [(call, n, kind) for call, kinds in (("write", 3), ("send", 3), ("sync", 2)) for n in range(1, count[call] + 1)
             for kind in (client.KILL, client.KILL_AFTER, client.KILL_HALF)[:kinds]]
    for call, n, kind in cases if os.environ.get("BARID_SYNC_EVERY") == "1" else random.Random("import").sample(cases, 40):
        with client.Home() as home, Mailbox() as new:
            account(home, new.port)
            done = home.barid("import", "--account", "new", path, env=shim.arm(home, call, kind, n=n))
            assert not shim.hits() or done.returncode < 0, (call, n, kind)
            new.quiet()
            settled(home)
            torn(home, new, path, (call, n, kind))


# ---- words ----

def test_formats(home):
    """What --from says is what is read, into an account as into a user."""
    old = os.path.join(home.folder, "old.mbox")
    with open(old, "wb") as f:
        f.write(b"From a@example.org Sat Nov  1 10:00:00 2025\nSubject: x\n\n>From here\n>>From there\n\n")
    cyrus = os.path.join(home.folder, "cyrus")
    os.mkdir(cyrus)
    with open(os.path.join(cyrus, "7."), "wb") as f:
        f.write(b"Subject: of cyrus\r\n\r\ntext\r\n")
    path = os.path.join(home.folder, "Old")
    maildir(path, 1)
    with Mailbox() as new:
        account(home, new.port)
        for words, to, text in ((["--from", "mbox"], "rd", b"From here\r\n>From there\r\n"), (["--from", "mboxrd"], "rd2", b"From here\r\n>From there\r\n"),
                                (["--from", "mboxo"], "o", b"From here\r\n>>From there\r\n"), (["--uidl", "none"], "none", b"From here\r\n>From there\r\n")):
            assert "1 messages came in" in bring(home, old, "--mailbox", to, *words).stdout
            (mail,) = new.folders[to].mail
            assert mail.data.partition(b"\r\n\r\n")[2].rstrip(b"\r\n") == text.rstrip(b"\r\n"), words
        bring(home, cyrus, "--from", "cyrus", "--mailbox", "Cyrus")
        assert [m.data for m in new.folders["Cyrus"].mail] == [b"Subject: of cyrus\r\n\r\ntext\r\n"]
        before = new.table()
        sent = sum(c.startswith(("APPEND", "CREATE")) for c in new.commands())
        assert "INBOX" in bring(home, path, "--from", "maildir", "--dry-run").stdout
        assert new.table() == before and sum(c.startswith(("APPEND", "CREATE")) for c in new.commands()) == sent
        bring(home, path, "--from", "maildir", "--mailbox", "All/of it")
        assert {n for n in new.folders if n.startswith("All")} == {"All/of it", "All/of it/" + ARABIC_7, "All/of it/" + ARABIC_7 + "/x", "All/of it/Sent"}
        for bad in (["--from", "zip"], ["--from"], ["--mailbox", ""], ["--mailbox"], ["--uidl", "what"], ["--what"]):
            bring(home, old, *bad, code=64)
        bring(home, old, "--from", "maildir", code=65)
        bring(home, path, "--from", "mbox", code=65)


# ---- which of the two ----

def test_a_user_and_an_account_of_one_name(home, barid):
    path = os.path.join(home.folder, "old.mbox")
    mbox(path, 3)
    user, other = barid.user(), barid.user()
    with Mailbox() as new:
        account(home, new.port, user)
        done = home.barid("-c", barid.config_file, "import", user.address, path)
        assert done.returncode == 64 and "--user or --account" in done.stderr
        assert counts(new) == {"INBOX": 0}
        done = home.barid("-c", barid.config_file, "import", "--user", user.address, path)
        assert done.returncode == 0 and counts(new) == {"INBOX": 0} and len(barid.bodies(user)) == 3, done
        done = home.barid("-c", barid.config_file, "import", "--account", user.address, path)
        assert done.returncode == 0 and counts(new) == {"INBOX": 3}, done
        done = home.barid("-c", barid.config_file, "import", other.address, path)  # only a user
        assert done.returncode == 0 and len(barid.bodies(other)) == 3, done
        done = home.barid("import", "new", path)  # only an account
        assert done.returncode == 0 and "0 messages came in, 3 were there" in done.stdout, done
        assert home.barid("import", "--user", "--account", "new", path).returncode == 64
        assert home.barid("import", "--account", "nobody", path).returncode == 64
        assert home.barid("import", "--account", "new", path, "--uidl", "uw").returncode == 64
        done = home.barid("import", "--account", "new", home.folder)
        assert done.returncode == 65 and "no Maildir" in done.stderr, done
        assert "3           0  INBOX" in home.barid("import", "--account", "new", path, "--dry-run").stdout
