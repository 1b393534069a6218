"""barid import: mail of another server comes in whole, once, with its flags, dates, folders and UIDLs, by a running server and without one."""
import contextlib
import gzip
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
from server import Server, fetched  # noqa: E402

BIG = b"Subject: big\n\n" + b"a line of a big message\n" * 20000


@pytest.fixture
def server():
    with Server() as s:
        yield s


@pytest.fixture(params=["running", "stopped"])
def running(request):
    return request.param == "running"


def crlf(data):
    return re.sub(rb"\r?\n", b"\r\n", data)


def maildir(path):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub))
    return path


def put(folder, name, data, mtime=None):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    if mtime:
        os.utime(path, (mtime, mtime))


def snapshot(path):
    """All that is in a folder, names and times too."""
    found = {}
    for base, folders, files in os.walk(path):
        for name in folders + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            found[os.path.relpath(p, path)] = (st.st_mode, st.st_mtime_ns, st.st_size)
    return found


def bring(server, user, path, *words, running=True, check=True):
    """Runs the import, with or without the server, and gives what it said; nothing in path changes."""
    if not running:
        server.stop()
    before = snapshot(path) if os.path.isdir(path) else os.stat(path).st_mtime_ns
    done = server.run("import", user.address, path, *words, check=False)
    assert (snapshot(path) if os.path.isdir(path) else os.stat(path).st_mtime_ns) == before
    if not running:
        server.start()
    if check:
        assert done.returncode == 0, done.stderr.decode()
    return done


def said(done):
    return (done.stdout + done.stderr).decode()


def uidls(server, user):
    """[UIDL] as POP3 lists them."""
    c = server.pop3(user)
    try:
        return [line.decode().split()[1] for line in c.uidl()[1]]
    finally:
        c.quit()


def show_all(server, user):
    server.run("pop", user.address, "window=all")


def mailboxes(server, user):
    """{mailbox: [(flags, seconds, bytes)]}, each in UID order; empty mailboxes that every account has are left out."""
    found = {}
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        for parts in c.command('LIST "" *')[1]:
            if b"\\Noselect" in parts[0]:
                continue
            name = re.search(rb'"?([^" ]+|[^"]+)"?$', parts[0].split(b'"/" ', 1)[1]).group(1)
            c.command(b'EXAMINE "' + name + b'"')
            found[name.decode()] = [
                (frozenset(re.search(rb"FLAGS \(([^)]*)\)", p[0] + p[2]).group(1).split()) - {b"\\Recent"},
                 re.search(rb'INTERNALDATE "([^"]+)"', p[0] + p[2]).group(1).decode(), p[1])
                for p in c.command("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")[1] if len(p) == 3]
    return found


def date(seconds):
    t = time.gmtime(seconds)
    return time.strftime("%d-%b-%Y %H:%M:%S +0000", t)


def sample(path):
    """A Maildir++ with what such folders have."""
    root = maildir(str(path / "Maildir"))
    put(root, "cur/1500000001.M1P1.host,S=20:2,S", b"Subject: one\n\n1\n", 1500000001)
    put(root, "cur/1500000003.M1P1.host:2,FRab", b"Subject: three\r\n\r\n3\r\n", 1400000000)
    put(root, "new/1500000002.M1P1.host", b"Subject: two\n\n2", 1700000000)
    put(root, "cur/1500000004.M1P1.host:2,DT", BIG, 1500000004)
    put(root, "tmp/1500000009.half", b"half")
    put(root, "dovecot-keywords", b"0 $Label1\n1 work\n2 unused\n")
    for name in (".Sent", ".Work.Old", ".&BjEGMwYnBiYGRA-", ".Empty"):
        maildir(os.path.join(root, name))
    put(root, ".Sent/cur/1500000005.a:2,SP", b"Subject: sent\n\n\0s\n", 1500000005)
    put(root, ".Work.Old/cur/1500000006.a:2,", b"Subject: old\n\n", 1500000006)
    put(root, ".&BjEGMwYnBiYGRA-/new/1500000007.a", b"Subject: \xd8\xaa\n\n", 1500000007)
    return root


def flags(*names):
    return frozenset(n.encode() for n in names)


SAMPLE = {
    "INBOX": [(flags("\\Seen"), date(1500000001), b"Subject: one\r\n\r\n1\r\n"),
              (flags(), date(1500000002), b"Subject: two\r\n\r\n2"),
              (flags("\\Flagged", "\\Answered", "$Label1", "work"), date(1400000000), b"Subject: three\r\n\r\n3\r\n"),
              (flags("\\Draft", "\\Deleted"), date(1500000004), crlf(BIG))],
    "Sent": [(flags("\\Seen", "$Forwarded"), date(1500000005), b"Subject: sent\r\n\r\ns\r\n")],
    "Work": [],  # the level above
    "Work/Old": [(flags(), date(1500000006), b"Subject: old\r\n\r\n")],
    "&BjEGMwYnBiYGRA-": [(flags(), date(1500000007), b"Subject: \xd8\xaa\r\n\r\n")],
    "Empty": [],
}


def test_a_maildir_with_its_folders(server, tmp_path, running):
    user = server.user()
    before = mailboxes(server, user)
    root = sample(tmp_path)
    done = bring(server, user, root, running=running)
    assert "7 messages came in, 0 were there" in said(done)
    assert "No UIDLs were found" in said(done)
    assert mailboxes(server, user) == {**before, **SAMPLE}
    # again: nothing is doubled, also where somebody has moved and read a message meanwhile
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        c.command("SELECT INBOX")
        c.command("MOVE 1 Archive")
        c.command("STORE 1 +FLAGS (\\Seen)")
    moved = mailboxes(server, user)
    done = bring(server, user, root, running=running)
    assert "0 messages came in, 7 were there" in said(done)
    assert mailboxes(server, user) == moved
    # what came meanwhile comes
    put(root, "new/1500000008.M1P1.host", b"Subject: late\n\n")
    assert "1 messages came in, 7 were there" in said(bring(server, user, root, running=running))
    assert server.run("fsck", user.address).count("nothing to complain about") == 1


def test_elsewhere_and_folders_in_folders(server, tmp_path):
    user = server.user()
    root = maildir(str(tmp_path / "mail"))
    put(root, "cur/1500000001.a:2,S", b"Subject: one\n\n")
    put(maildir(os.path.join(root, "Lists", "C")), "cur/1500000002.a:2,S", b"Subject: two\n\n")
    os.symlink("/", os.path.join(root, ".link"))
    done = bring(server, user, root, "--mailbox", "Old/2019", check=False)
    assert done.returncode == 1 and ".link cannot be read" in said(done)
    found = mailboxes(server, user)
    assert [m[2] for m in found["Old/2019"]] == [b"Subject: one\r\n\r\n"]
    assert [m[2] for m in found["Old/2019/Lists/C"]] == [b"Subject: two\r\n\r\n"]
    assert found["INBOX"] == []


def test_the_same_twice_there_is_twice_here(server, tmp_path):
    user = server.user()
    root = maildir(str(tmp_path / "mail"))
    for end in "ab":
        put(root, f"cur/1500000001.{end}:2,", b"Subject: same\n\n")
    show_all(server, user)
    assert "2 messages came in" in said(bring(server, user, root, "--uidl", "courier"))
    assert uidls(server, user) == ["1500000001.a", "1500000001.b"]
    assert "0 messages came in, 2 were there" in said(bring(server, user, root))


COURIER = b"/3 9 1795727859\n1500000001.M1P1.host,S=20:2, 40 1:1795727859:0\n1500000003.M1P1.host 40 3:1795727859:0\n" \
          b"1500000004.M1P1.host:2,S 9 4:0:0\n1500000077.gone 9 5:1:0\n"
DOVECOT = b"3 V1275660208 N9 Gxx\n7 :1500000003.M1P1.host\n8 P :1500000001.M1P1.host,S=20\n9 W1 Pold!1 :1500000004.M1P1.host\n"


@pytest.mark.parametrize("files, words, wanted", [
    ({"courierpop3dsizelist": COURIER}, [], ["UID1-1795727859", "UID3-1795727859", "UID4", None]),
    ({"dovecot-uidlist": DOVECOT}, [], ["000000074c0907b0", "1500000001.M1P1.host,S=20", "old!1", None]),
    ({"dovecot-uidlist": DOVECOT}, ["--uidl", "dovecot:%v.%u"], ["1275660208.7", "1500000001.M1P1.host,S=20", "old!1", None]),
    ({"dovecot-uidlist": DOVECOT}, ["--uidl", "none"], [None] * 4),
    ({"dovecot-uidlist": DOVECOT, "courierpop3dsizelist": COURIER}, ["--uidl", "courier"],
     ["UID1-1795727859", "UID3-1795727859", "UID4", None]),
    ({}, ["--uidl", "courier"], ["1500000001.M1P1.host,S=20", "1500000002.M1P1.host", "1500000003.M1P1.host", "1500000004.M1P1.host"]),
    ({}, [], [None] * 4),
], ids=["courier", "dovecot", "format", "none", "of two", "names", "nothing"])
def test_uidls(server, tmp_path, running, files, words, wanted):
    user = server.user()
    show_all(server, user)
    root = sample(tmp_path)
    for name, data in files.items():
        put(root, name, data)
    known = sum(1 for u in wanted if u)
    done = bring(server, user, root, *words, running=running)
    assert ("No UIDLs" in said(done)) == (not known)
    if known:
        assert f"{known} of them keep the UIDL" in said(done)
    got = uidls(server, user)
    assert len(got) == 4
    for one, want in zip(got, wanted):
        assert one == want if want else re.fullmatch("[0-9a-f]{32}", one), got
    # they stay when the mail moves, the server starts anew, and when all is lost and comes back from a backup
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        c.command("SELECT INBOX")
        c.command("COPY 1 Archive")
        c.command("MOVE 2 Archive")
    server.run("pop", user.address, "folders=all")
    assert sorted(set(uidls(server, user)) & set(got)) == sorted(got)
    backups = str(tmp_path / "backups")
    server.run("backup", backups)
    server.stop()
    server.start()
    for words in ([], ["--replace"]):
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            for name in ("INBOX", "Archive"):
                c.command("SELECT " + name)
                c.command("STORE 1:* +FLAGS (\\Deleted)")
                c.command("EXPUNGE")
        assert set(uidls(server, user)) & set(got) == set()
        server.run("restore", backups, user.address, *words)
        assert set(got) <= set(uidls(server, user))
    server.run("rebuild", user.address)
    assert "nothing to complain about" in server.run("fsck", user.address)
    assert set(got) <= set(uidls(server, user))


def test_a_program_goes_on_where_it_was(server, tmp_path):
    """What it took of the old server is not taken again, what it deletes is gone, and the policy knows what it took."""
    user = server.user()
    root = sample(tmp_path)
    put(root, "courierpop3dsizelist", COURIER)
    server.run("pop", user.address, "window=all", "list=device", "after=quit", "dele=trash")
    bring(server, user, root)
    seen = {"UID1-1795727859", "UID3-1795727859"}
    c = server.pop3(user)
    for line in c.uidl()[1]:
        number, uidl = line.decode().split()
        if uidl not in seen:
            c.retr(int(number))
    c.quit()
    left = uidls(server, user)
    assert left == ["UID1-1795727859", "UID3-1795727859"]
    c = server.pop3(user)
    assert c.uidl(1).split()[2] == b"UID1-1795727859"
    c.dele(1)
    c.quit()
    assert uidls(server, user) == ["UID3-1795727859"]
    # the message lies in Trash, and is neither shown nor brought again
    bring(server, user, root)
    assert uidls(server, user) == ["UID3-1795727859"]


def test_uidls_that_cannot_be(server, tmp_path):
    user = server.user()
    show_all(server, user)
    root = sample(tmp_path)
    put(root, "dovecot-uidlist", b"3 V5 N9\n1 Psame :1500000001.M1P1.host,S=20\n2 Psame :1500000002.M1P1.host\n"
        b"3 P%s :1500000003.M1P1.host\n4 P\xc3\xa9 :1500000004.M1P1.host\nnonsense\n5 Px\n" % (b"x" * 71))
    done = bring(server, user, root)
    assert "1 of them keep the UIDL" in said(done) and "3 UIDLs were left out" in said(done)
    got = uidls(server, user)
    assert got[0] == "same" and len(set(got)) == 4


def write_mbox(path, *messages):
    with open(path, "wb") as f:
        for n, m in enumerate(messages):
            f.write(b"From a@example.org Thu Nov 26 21:06:%02d 2026\n" % n + m + b"\n")
    return str(path)


def test_an_mbox(server, tmp_path, running):
    user = server.user()
    show_all(server, user)
    path = write_mbox(tmp_path / "mbox",
                      b"Status: RO\nX-UIDL: \"abc!\nSubject: one\nX-Keywords: work\n\n>From me\n>>From you\nFrom here on\n",
                      b"X-UIDL: def\nSubject: two\nContent-Length: 99\nX-Status: AF\n\n\n\ntwo\n\n",
                      b"Subject: three\n\n")
    done = bring(server, user, path, running=running)
    assert "3 messages came in" in said(done) and "2 of them keep the UIDL" in said(done)
    assert mailboxes(server, user)["INBOX"] == [
        (flags("\\Seen", "work"), "26-Nov-2026 21:06:00 +0000", b"Subject: one\r\n\r\nFrom me\r\n>From you\r\nFrom here on\r\n"),
        (flags("\\Answered", "\\Flagged"), "26-Nov-2026 21:06:01 +0000", b"Subject: two\r\n\r\n\r\n\r\ntwo\r\n\r\n"),
        (flags(), "26-Nov-2026 21:06:02 +0000", b"Subject: three\r\n\r\n")]
    assert uidls(server, user)[:2] == ['"abc!', "def"]
    # the old server has noted something since: the same messages all the same
    path = write_mbox(tmp_path / "mbox",
                      b"Status: O\nX-UIDL: \"abc!\nSubject: one\n\n>From me\n>>From you\nFrom here on\n")
    assert "0 messages came in, 1 were there" in said(bring(server, user, path, running=running))
    other = server.user()
    bring(server, other, path, "--from", "mboxo", "--mailbox", "Old mail", running=running)
    assert mailboxes(server, other)["Old mail"][0][2].endswith(b"From me\r\n>>From you\r\nFrom here on\r\n")


def test_uids_in_an_mbox(server, tmp_path):
    first = b"X-IMAPbase: 1275660208 9\nX-UID: 7\nSubject: one\n\n"
    second = b"X-UID: 31\nSubject: two\n\n"
    path = write_mbox(tmp_path / "mbox", first, second)
    user = server.user()
    done = bring(server, user, path, check=False)
    assert done.returncode == 65 and "which server" in said(done)
    assert mailboxes(server, user)["INBOX"] == []
    for word, wanted in (("uw", ["4c0907b000000007", "4c0907b00000001f"]), ("dovecot", ["000000074c0907b0", "0000001f4c0907b0"]),
                         ("dovecot:%u", ["7", "31"]), ("none", None)):
        user = server.user()
        show_all(server, user)
        bring(server, user, path, "--uidl", word)
        assert wanted is None or uidls(server, user) == wanted
        assert len(uidls(server, user)) == 2
    # UW's own first message is its memory, and no mail
    path = write_mbox(tmp_path / "mbox", b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1275660208 9\n\nx\n",
                      b"X-UID: 7\nSubject: one\n\n")
    user = server.user()
    show_all(server, user)
    bring(server, user, path)
    assert uidls(server, user) == ["4c0907b000000007"]
    assert len(mailboxes(server, user)["INBOX"]) == 1


def test_a_mailbox_of_cyrus(server, tmp_path):
    user = server.user()
    show_all(server, user)
    root = str(tmp_path / "cyrus")
    os.makedirs(os.path.join(root, "Sent"))
    for n in (2, 10, 1):
        put(root, f"{n}.", b"Subject: %d\r\n\r\n" % n, 1500000000 + n)
    for name in ("cyrus.header", "cyrus.index", "cyrus.cache", "x.", "0."):
        put(root, name, b"\0")
    bring(server, user, root, "--from", "cyrus", "--uidl", "cyrus:1275660208")
    assert [m[1:] for m in mailboxes(server, user)["INBOX"]] == [
        (date(1500000000 + n), b"Subject: %d\r\n\r\n" % n) for n in (1, 2, 10)]
    assert uidls(server, user) == ["1275660208.1", "1275660208.2", "1275660208.10"]


def test_what_cannot_be_read_stays_behind_and_is_told(server, tmp_path):
    user = server.user()
    root = maildir(str(tmp_path / "mail"))
    put(root, "cur/1500000001.a:2,S", b"Subject: one\n\n")
    put(root, "cur/1500000002.a:2,S", gzip.compress(b"Subject: two\n\n"))
    put(root, "cur/1500000003.a:2,S", b"")
    os.symlink("1500000001.a:2,S", os.path.join(root, "cur", "1500000004.a"))
    os.mkfifo(os.path.join(root, "new", "1500000005.a"))
    done = bring(server, user, root, check=False)
    assert done.returncode == 1
    for word in ("1500000002.a:2,S is compressed", "1500000003.a:2,S is empty", "1500000004.a cannot be read",
                 "1500000005.a cannot be read", "4 messages or folders stayed behind", "1 messages came in"):
        assert word in said(done)
    put(root, "dovecot-uidlist", b"not one\n")
    done = bring(server, user, root, check=False)
    assert done.returncode == 65 and "dovecot-uidlist cannot be understood" in said(done)


def test_dry_run(server, tmp_path):
    user = server.user()
    root = sample(tmp_path)
    put(root, "courierpop3dsizelist", COURIER)
    before = mailboxes(server, user)
    lines = said(bring(server, user, root, "--dry-run")).splitlines()
    assert lines[1].split() == ["4", "3", "INBOX", "UID1-1795727859"]
    assert sorted(line.split()[2] for line in lines[2:]) == ["Empty", "Sent", "Work/Old", "رسائل"]
    assert mailboxes(server, user) == before


def test_wrong_words(server, tmp_path):
    user = server.user()
    for words in ([], ["x"], ["x", "y", "z"], ["x", "y", "--uidl", "nobody"], ["x", "y", "--uidl", "courier:%u"],
                  ["x", "y", "--uidl", "dovecot:%m"], ["x", "y", "--uidl", "dovecot:"], ["x", "y", "--uidl", "cyrus"],
                  ["x", "y", "--uidl", "cyrus:0"], ["x", "y", "--from", "pst"], ["x", "y", "--mailbox", ""], ["x", "y", "--what"]):
        done = server.run("import", *words, check=False)
        assert done.returncode == 64 and b"barid import" in done.stderr, words
    plain = tmp_path / "plain"
    plain.write_bytes(b"Subject: x\n\n")
    for path, words, status, word in (
            (tmp_path / "none", [], 66, "cannot be opened"), (plain, [], 65, "is no mbox"), (tmp_path, [], 65, "is no Maildir"),
            (plain, ["--from", "maildir"], 65, "is no folder"), (tmp_path, ["--from", "mbox"], 65, "is no file"),
            (tmp_path, ["--from", "cyrus"], 65, "is no mailbox of Cyrus")):
        done = server.run("import", user.address, str(path), *words, check=False)
        assert done.returncode == status and word in said(done), said(done)
    done = server.run("import", "nobody@barid.test", str(tmp_path), check=False)
    assert done.returncode == 67
    assert os.listdir(os.path.join(server.data, "incoming")) == []


def random_maildir(path, rnd, count):
    """{UIDL: bytes} of what is written."""
    root = maildir(path)
    wanted, lines = {}, [b"3 V1275660208 N99999"]
    for n in range(1, count + 1):
        size = rnd.choice((10, 200, 3000, 60000))
        data = b"Subject: %d\nMessage-ID: <%d@x>\n\n" % (n, n) + rnd.randbytes(size // 2).hex().encode() + b"\n"
        put(root, f"cur/{1500000000 + n}.M{n}P1.host:2,{rnd.choice(('', 'S', 'FS'))}", data)
        lines.append(b"%d :%d.M%dP1.host" % (n, 1500000000 + n, n))
        wanted[f"{n:08x}4c0907b0"] = crlf(data)
    put(root, "dovecot-uidlist", b"\n".join(lines) + b"\n")
    return root, wanted


def stored(server, user):
    """{UIDL: bytes}, by POP3 and IMAP together: both see the same messages, in the same order."""
    names = uidls(server, user)
    with contextlib.closing(server.imap(user)) as c:
        c.select("INBOX", readonly=True)
        bodies = fetched(c.uid("FETCH", "1:*", "(BODY.PEEK[])")[1])
    assert len(names) == len(bodies)
    return dict(zip(names, [bodies[u] for u in sorted(bodies)]))


def test_cut_short_anywhere_it_goes_on(server, tmp_path, running):
    """Killed at many moments, of which each leaves some of the messages, all of them whole; at last all are there, once."""
    rnd = random.Random(7)
    root, wanted = random_maildir(str(tmp_path / "mail"), rnd, 400)
    measure, user = server.user(), server.user()
    show_all(server, user)
    if not running:
        server.stop()
    began = time.monotonic()
    server.run("import", measure.address, root)
    took = time.monotonic() - began
    for kill in range(4):
        child = subprocess.Popen([server.barid, "-c", server.config_file, "import", user.address, root], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            child.wait(took * rnd.uniform(0.1, 0.9))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
    done = server.run("import", user.address, root)
    came, there = map(int, re.search(r"(\d+) messages came in, (\d+) were there", done).groups())
    assert came + there == len(wanted)
    if not running:
        server.start()
    assert stored(server, user) == wanted
    assert "nothing to complain about" in server.run("fsck", user.address)


def test_over_the_quota(server, tmp_path):
    root, wanted = random_maildir(str(tmp_path / "mail"), random.Random(3), 60)
    user = server.user(quota="100K")
    show_all(server, user)
    server.imap(user).logout()  # the quota is known from here on
    done = bring(server, user, root, check=False)
    assert done.returncode == 74 and "no space is left" in said(done)
    server.run("user", "set", user.address, "--quota", "1G")
    server.imap(user).logout()
    bring(server, user, root)
    assert stored(server, user) == wanted


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_brings_is_the_servers(tmp_path, running):
    """The server runs as another user, and is confined to its data folder."""
    with contextlib.closing(Server({"server.user": "nobody"})) as server:
        os.chmod(server.directory, 0o755)
        shutil.chown(server.key, "nobody")
        server.start()
        user, other = server.user(), server.user()
        server.append(other, b"Subject: x\r\n\r\n")
        root = sample(tmp_path)
        assert "7 messages came in" in said(bring(server, user, root, running=running))
        assert mailboxes(server, user)["INBOX"] == SAMPLE["INBOX"]
        server.stop()
        owners = {os.stat(os.path.join(where, name)).st_uid for where, folders, files in os.walk(server.data) for name in folders + files}
        assert owners == {os.stat(server.data).st_uid} and owners != {0}
