"""barid fetch: what it brings, what it leaves, and that no lying server and no broken line makes it lose, double or betray anything."""
import base64
import errno
import fcntl
import os
import pathlib
import re
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import time

import pytest

import client
import server as lib
from client import FakePop, Line, local, no_secret

MESSAGES = [
    b"From: a@x.test\r\nSubject: plain\r\n\r\nHello\r\n",
    b"From: b@x.test\r\nSubject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\nend\r\n",
    "From: c@x.test\r\nSubject: مرحبا\r\n\r\nنص عربي\r\n".encode(),
    b"From: d@x.test\r\nSubject: long\r\n\r\n" + b"x" * 100000 + b"\r\nFrom here\r\n>From there\r\n",
    b"From: e@x.test\r\nSubject: empty\r\n\r\n",
    b"From: f@x.test\r\nSubject: no end\r\n\r\nlast line",
    b"\r\nno header\r\n",
]


def small(count, size=300):
    return [[f"id-{n}", b"Subject: %d\r\n\r\n" % n + b"text\r\n" * (size // 6)] for n in range(count)]


def ended(data):
    """A last line without its end gets one on the way (RFC 1939 has no other way to send it)."""
    return data if data.endswith(b"\r\n") or not data else data + b"\r\n"


def plain(port):
    return f"127.0.0.1 {port} none"


def bodies(home):
    return sorted(home.mail().values())


# ---- what comes ----

@pytest.mark.parametrize("pipelining", [True, False])
def test_all_messages_byte_for_byte_and_once(home, pipelining):
    capa = ("TOP", "UIDL", "USER") + (("PIPELINING",) if pipelining else ())
    with FakePop([[f"u{n}", m] for n, m in enumerate(MESSAGES)], capa=capa) as pop:
        home.account(pop3=plain(pop.port))
        first = home.json("fetch")
        assert (first["listed"], first["fetched"], first["known"]) == (7, 7, 0)
        assert bodies(home) == sorted(local(ended(m)) for m in MESSAGES)
        names = list(home.mail())
        assert len(set(names)) == 7 and not any("u0" in n or ":" in n for n in names)
        again = home.json("fetch")
        assert (again["fetched"], again["known"]) == (0, 7)
        assert len(home.mail()) == 7
        assert os.listdir(os.path.join(home.maildir, "tmp")) == []
        assert not any(c.startswith("DELE") for s in pop.sessions for c in s)
        for path, _, files in os.walk(home.state):
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
            for name in files:
                assert stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) & 0o077 == 0, name
    done = home.barid("fetch", "nobody")
    assert done.returncode == 64 and "nobody" in done.stderr


def test_commands_are_sent_ahead(home):
    seen = []

    def retr(lines, rest):
        seen.append(lines.buffer.count(b"RETR"))

    with FakePop(small(50), hooks={"RETR": retr}) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 50
    assert max(seen) > 30  # the others lay there when the first was answered


def test_with_the_real_server(home, barid):
    user = barid.user()
    sent = [ended(lib.wire(m)) for m in MESSAGES[:6]]
    for message in sent:
        barid.append(user, message)
    home.file("secret", user.password)
    home.account(address=user.address, ca_file=barid.ca, pop3=f"localhost {barid.port('pop3s')} tls")
    assert home.json("fetch")["fetched"] == 6
    assert bodies(home) == sorted(local(m) for m in sent)
    with open(os.path.join(home.state, "a", "logins"), encoding="ascii") as f:
        assert f.read() == f"pop3 localhost {barid.port('pop3s')} SCRAM-SHA-256-PLUS\n"
    home.account(address=user.address, ca_file=barid.ca, pop3=f"localhost {barid.port('pop3')} starttls")
    assert home.json("fetch")["known"] == 6  # another port is the same mailbox
    assert home.json("fetch", "--delete")["deleted"] == 6
    assert home.json("fetch")["listed"] == 0
    home.file("secret", "wrong")
    done = home.barid("fetch")
    assert done.returncode == 77 and "app password" in done.stderr


@pytest.fixture(scope="session")
def dovecot():
    program = lib.have("dovecot")
    if not program or not os.path.exists("/usr/lib/dovecot/pop3"):
        pytest.skip("dovecot-pop3d is not installed")
    if os.geteuid() != 0:
        pytest.skip("Dovecot is started as root here")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="barid-dovecot-"))  # pytest's own are closed to Dovecot's users
    os.chmod(folder, 0o755)
    cert, key = client.certificate(str(folder))
    ports = [lib.free_port(), lib.free_port()]
    mail = folder / "mail"
    mail.mkdir()
    subprocess.run(["chown", "-R", "nobody", str(mail)], check=True)
    (folder / "passwd").write_text(f"salma@barid.test:{{plain}}{client.PASSWORD}\n")
    (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = pop3
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = plain scram-sha-256
mail_location = maildir:{mail}/%u
first_valid_uid = 1
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {{
  driver = passwd-file
  args = {folder}/passwd
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail}/%u
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {ports[0]}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {ports[1]}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
""")
    process = subprocess.Popen([program, "-F", "-c", str(folder / "dovecot.conf")], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            lib.socket.create_connection(("127.0.0.1", ports[0])).close()
            break
        except OSError:
            time.sleep(0.05)
    yield {"pop3": ports[0], "pop3s": ports[1], "ca": cert, "mail": mail, "log": folder / "log"}
    process.terminate()
    process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


def test_with_dovecot(home, dovecot):
    new = dovecot["mail"] / "salma@barid.test" / "new"
    new.mkdir(parents=True)
    for n, message in enumerate(MESSAGES[:5]):
        (new / f"{n}.x").write_bytes(local(message))
    subprocess.run(["chown", "-R", "nobody", str(dovecot["mail"])], check=True)
    home.account(ca_file=dovecot["ca"], pop3=f"localhost {dovecot['pop3']} starttls")
    assert home.json("fetch")["fetched"] == 5, dovecot["log"].read_text()
    assert bodies(home) == sorted(local(m) for m in MESSAGES[:5])
    home.account(ca_file=dovecot["ca"], pop3=f"localhost {dovecot['pop3s']}")
    assert home.json("fetch", "--delete")["deleted"] == 5
    assert home.json("fetch")["listed"] == 0
    with open(os.path.join(home.state, "a", "logins"), encoding="ascii") as f:
        assert "SCRAM-SHA-256" in f.read()


def test_old_servers(home):
    """No CAPA, no pipelining; USER and PASS on loopback."""
    with FakePop(small(3), capa=None) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 3
        assert home.json("fetch")["known"] == 3
        assert "USER salma@barid.test" in pop.sessions[0]


# ---- what stays, what goes ----

def test_delete(home):
    with FakePop(small(4)) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete")
        result = home.json("fetch")
        assert (result["fetched"], result["deleted"]) == (4, 4)
        assert pop.messages == []
        pop.messages = small(5)  # a lying server, or one restored from a backup: deleted again, not fetched again
        result = home.json("fetch")
        assert (result["fetched"], result["deleted"]) == (1, 5)
        assert len(home.mail()) == 5


def test_delete_after_days(home):
    with FakePop(small(4)) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete-after 3")
        assert home.json("fetch")["deleted"] == 0
        db = sqlite3.connect(os.path.join(home.state, "a", "pop3.db"))
        db.execute("UPDATE message SET at=at-3*86400 WHERE key IN (CAST('uid-0' AS BLOB), CAST('uid-2' AS BLOB))")
        db.commit()
        db.close()
        assert home.json("fetch")["deleted"] == 2
        assert [m[0] for m in pop.messages] == ["id-1", "id-3"]
        assert home.json("fetch", "--keep")["deleted"] == 0


def test_newest_bytes_stay(home):
    messages = small(6, 600)
    with FakePop(messages) as pop:
        room = sum(len(m[1]) for m in messages[-2:]) + 10
        home.account(pop3=plain(pop.port), server_size_max=room)
        assert home.json("fetch", "--keep")["deleted"] == 0
        assert home.json("fetch")["deleted"] == 4
        assert [m[0] for m in pop.messages] == ["id-4", "id-5"]
    assert len(home.mail()) == 6


def test_large_messages_leave_a_note(home):
    big = b"From: me@x.test\r\nSubject: =?utf-8?q?b=C3=ADg?=\r\nMessage-ID: <big@x.test>\r\n\r\n" + b"y" * 70 + b"\r\n" * 3000
    with FakePop([["small", MESSAGES[0]], ["big", big]]) as pop:
        home.account(pop3=plain(pop.port), message_size_max="2K", after_fetch="delete")
        result = home.json("fetch")
        assert (result["fetched"], result["notes"], result["deleted"]) == (1, 1, 1)
        note = [m for m in home.mail().values() if b"me@x.test" in m][0]
        assert b"barid fetch a --large" in note and b"References: <big@x.test>" in note and b"Message-ID" not in note
        assert b"\r" not in note
        assert home.json("fetch")["notes"] == 0
        assert [m[0] for m in pop.messages] == ["big"]  # a note is no reason to delete
        ar = home.barid("fetch", "--dry-run", "--lang", "ar")
        assert ar.returncode == 0 and "الخادم" in ar.stdout
        assert home.json("fetch", "--large")["fetched"] == 1
        assert pop.messages == [] and local(big) in home.mail().values()


def test_skip_header(home):
    ads = b"From: x@x.test\r\nSubject: =?utf-8?b?W2Fkc10gYnV5?=\r\n\r\nbuy\r\n"
    with FakePop([["1", MESSAGES[0]], ["2", ads]]) as pop:
        home.account(pop3=plain(pop.port), skip_header='subject "[ADS]"', after_fetch="delete")
        result = home.json("fetch")
        assert (result["fetched"], result["skipped"], result["deleted"]) == (1, 1, 1)
        assert [m[0] for m in pop.messages] == ["2"]
        assert home.json("fetch")["known"] == 1
        assert home.json("fetch", "--all")["fetched"] == 1


def test_dry_run_changes_nothing(home):
    with FakePop(small(3)) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete")
        result = home.json("fetch", "--dry-run")
        assert (result["wanted"], result["fetched"]) == (3, 0)
        assert not os.path.exists(home.maildir)
        home.json("fetch", "--keep")
        result = home.json("fetch", "--dry-run")
        assert (result["wanted"], result["to_delete"], result["deleted"]) == (0, 3, 0)
        assert len(pop.messages) == 3


# ---- where it goes ----

def test_mbox(home):
    mbox = home.file("box", b"From old\nSubject: old\n\nold\n\n")
    with FakePop([[f"u{n}", m] for n, m in enumerate(MESSAGES)]) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=mbox, maildir=None)
        assert home.json("fetch")["fetched"] == 7
        assert home.json("fetch")["fetched"] == 0
    with open(mbox, "rb") as f:
        text = f.read()
    assert text.startswith(b"From old\nSubject: old\n\nold\n\nFrom MAILER-DAEMON ")
    parts = re.split(rb"^From .*\n", text, flags=re.M)[2:]
    assert [re.sub(rb"(?m)^>(>*From )", rb"\1", p[:-1]) for p in parts] == [local(ended(m)) for m in MESSAGES]
    assert not os.path.exists(mbox + ".lock")


def test_mbox_waits_for_a_lock(home):
    mbox = home.file("box", b"")
    with FakePop(small(1)) as pop, open(mbox, "r+b") as held:
        home.account(pop3=plain(pop.port), deliver_mbox=mbox)
        fcntl.lockf(held, fcntl.LOCK_EX)
        process = subprocess.Popen([lib.barid_program(), "fetch"], env=home.env, stdout=subprocess.PIPE)
        while not any("RETR 1" in s for s in pop.sessions):
            time.sleep(0.01)
        time.sleep(0.3)
        assert os.path.getsize(mbox) == 0 and process.poll() is None
        fcntl.lockf(held, fcntl.LOCK_UN)
        assert process.wait(60) == 0
        process.stdout.close()
        assert os.path.getsize(mbox) > 0


def test_command(home):
    out = os.path.join(home.folder, "out")
    script = home.file("take", f'#!/bin/sh\nx=$(cat; echo .)\ncase "$x" in *"Subject: 1"*) exit 1;; esac\n'
                               f'printf "%s" "${{x%.}}" >>{out}\n', 0o700)
    with FakePop(small(3)) as pop:
        home.account(pop3=plain(pop.port), deliver_command=script, maildir=None, after_fetch="delete")
        result = home.json("fetch", code=75)
        assert (result["fetched"], result["refused"], result["deleted"]) == (2, 1, 2)
        with open(out, "rb") as f:
            assert f.read() == local(small(3)[0][1] + small(3)[2][1])
        assert [m[0] for m in pop.messages] == ["id-1"]
        home.file("take", "#!/bin/sh\nexit 75\n", 0o700)
        done = home.barid("fetch")
        assert done.returncode == 75 and "later" in done.stderr
        home.account(pop3=plain(pop.port), deliver_command="/no/such/program", maildir=None)
        assert home.barid("fetch").returncode != 0
        assert [m[0] for m in pop.messages] == ["id-1"]


def test_lmtp(home, barid):
    user = barid.user()
    messages = [b"Return-Path: <a@x.test>\r\n" + MESSAGES[0], MESSAGES[1], MESSAGES[2], b"Subject: ends\r\n\r\na\nb\rc\r\n"]
    with FakePop([[f"u{n}", m] for n, m in enumerate(messages)]) as pop:
        home.account(address=user.address, user="salma@barid.test", pop3=plain(pop.port), maildir=None, after_fetch="delete",
                     deliver_lmtp=f"127.0.0.1:{barid.port('lmtp')}")
        result = home.json("fetch")
        assert (result["fetched"], result["deleted"]) == (4, 4)
        got = b"".join(barid.bodies(user).values())
        assert got.count(b"Return-Path: <a@x.test>") >= 1
        for body in (b"Hello\r\n", b"\r\n.\r\n..\r\n.a\r\n\r\n.\r\nend\r\n", "نص عربي\r\n".encode(), b"a\r\nb\r\nc\r\n"):
            assert body in got
        pop.messages = [["new", MESSAGES[0]]]
        home.account(address="nobody-here@" + lib.DOMAIN, user="salma@barid.test", pop3=plain(pop.port), maildir=None,
                     after_fetch="delete", deliver_lmtp=f"127.0.0.1:{barid.port('lmtp')}")
        result = home.json("fetch", code=75)
        assert (result["refused"], result["deleted"]) == (1, 0)
        home.account(address=user.address, user="salma@barid.test", pop3=plain(pop.port), maildir=None, after_fetch="delete",
                     deliver_lmtp="/no/such/socket")
        done = home.barid("fetch")
        assert done.returncode == 75 and len(pop.messages) == 1


# ---- messages that cannot be told apart ----

def test_without_uidl(home):
    twins = [[None, MESSAGES[0]], [None, MESSAGES[0]], [None, MESSAGES[1]]]
    with FakePop(twins, capa=("TOP", "USER")) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 3
        assert home.json("fetch")["known"] == 3
        pop.messages.append([None, b"Subject: new\r\n\r\nx\r\n"])
        assert home.json("fetch")["fetched"] == 1
        assert len(home.mail()) == 4
    with FakePop(twins, capa=("USER",)) as pop:
        home.account("b", pop3=plain(pop.port))
        done = home.barid("fetch")
        assert done.returncode == 69 and "--delete" in done.stderr
        assert home.json("fetch", "--delete")["deleted"] == 3
        assert pop.messages == []


def test_equal_and_broken_uidls(home):
    messages = [["same", MESSAGES[0]], ["same", MESSAGES[1]], ["x" * 10000, MESSAGES[2]], ["a b", MESSAGES[3]], ["good", MESSAGES[4]]]
    with FakePop(messages) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete")
        assert home.json("fetch", "--keep")["fetched"] == 5
        assert home.json("fetch", "--keep")["known"] == 5
        del pop.messages[0]
        assert home.json("fetch")["deleted"] == 4
        assert len(home.mail()) == 5


def test_another_mailbox_has_other_ids(home):
    with FakePop(small(2)) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 2
        home.account(pop3=plain(pop.port), user="other")
        assert home.json("fetch")["fetched"] == 2


# ---- broken lines ----

def check_after(home, pop, count, delete):
    """The next run, undisturbed, makes it whole."""
    result = home.json("fetch")
    assert bodies(home) == sorted(local(m) for _, m in small(count)), result
    assert len(pop.messages) == (0 if delete else count)
    assert os.listdir(os.path.join(home.maildir, "tmp")) == []


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("delete", [False, True])
def test_cut_anywhere(way, delete):
    count = 4
    policy = "delete" if delete else "keep"
    with client.Home() as home, FakePop(small(count)) as pop, Line(pop.port) as line:
        home.account(pop3=plain(line.port), after_fetch=policy)
        home.json("fetch")
        total = line.bytes[way]
    step = client.cut_step(97 if client.asan() else 11 if way == "down" else 3)
    for cut in range(1, total, step):
        with client.Home() as home, FakePop(small(count)) as pop:
            with Line(pop.port, **{f"cut_{way}": cut}) as line:
                home.account(pop3=plain(line.port), after_fetch=policy)
                home.barid("fetch")
            kept = list(pop.messages)
            here = bodies(home) if os.path.isdir(home.maildir) else []
            assert all(m[1] in [k[1] for k in kept] or local(m[1]) in here for m in small(count)), cut
            home.account(pop3=plain(pop.port), after_fetch=policy)
            check_after(home, pop, count, delete)


@pytest.mark.parametrize("place", ["maildir", "mbox"])
def test_killed_anywhere(shim, place):
    """Before, in the middle of and after every call that reaches the disk."""
    count = 3

    def account(home, pop):
        home.account(pop3=plain(pop.port), after_fetch="delete",
                     deliver_mbox=os.path.join(home.folder, "box") if place == "mbox" else None)

    def messages(home):
        if place == "maildir":
            return bodies(home)
        try:
            with open(os.path.join(home.folder, "box"), "rb") as f:
                return sorted(p[:-1] for p in re.split(rb"^From .*\n", f.read(), flags=re.M)[1:])
        except FileNotFoundError:
            return []

    with client.Home() as home, FakePop(small(count)) as pop:
        account(home, pop)
        assert home.barid("fetch", env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    assert counts["sync"] > 5 and counts["write"] > 5
    cases = [(call, n, kind) for call in ("write", "sync", "open", "rename", "unlink", "truncate")
             for n in range(1, counts[call] + 1)
             for kind in ((client.KILL, client.KILL_AFTER, client.KILL_HALF) if call == "write" else (client.KILL, client.KILL_AFTER))]
    wanted = sorted(local(m) for _, m in small(count))
    for call, n, kind in cases:
        with client.Home() as home, FakePop(small(count)) as pop:
            account(home, pop)
            done = home.barid("fetch", env=shim.arm(home, call, kind, n=n))
            if shim.hits() and done.returncode >= 0:
                pytest.fail(f"{call} {n} {kind}: not killed")
            left = [m[1] for m in pop.messages]
            assert len(left) in (0, count), (call, n, kind)
            if not left:
                assert messages(home) == wanted, (call, n, kind)
            again = home.barid("fetch")
            assert again.returncode == 0, (call, n, kind, again.stderr)
            assert messages(home) == wanted, (call, n, kind)
            assert pop.messages == [], (call, n, kind)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("place", ["maildir", "mbox"])
def test_disk_that_fails(shim, place, error):
    """An error is said, nothing is deleted that is not here, and afterwards everything comes."""
    count = 3
    with client.Home() as home, FakePop(small(count)) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete",
                     deliver_mbox=os.path.join(home.folder, "box") if place == "mbox" else None)
        home.barid("fetch", env=shim.arm(home))
        counts = shim.counts()
    for call in ("write", "sync", "open", "rename"):
        for n in range(1, counts[call] + 1):
            with client.Home() as home, FakePop(small(count)) as pop:
                box = os.path.join(home.folder, "box")
                home.account(pop3=plain(pop.port), after_fetch="delete", deliver_mbox=box if place == "mbox" else None)
                home.barid("fetch", env=shim.arm(home, call, client.ERRNO, error, n))
                again = home.barid("fetch")
                assert again.returncode == 0, (call, n, again.stderr)
                if place == "maildir":
                    assert bodies(home) == sorted(local(m) for _, m in small(count)), (call, n)
                else:
                    with open(box, "rb") as f:
                        text = f.read()
                    assert [text.count(b"Subject: %d\n" % i) for i in range(count)] == [1] * count, (call, n)
                assert pop.messages == [], (call, n)


def test_lost_answer_to_quit(home):
    with FakePop(small(3), hooks={"QUIT": [False]}) as pop:  # hangs up: nothing was deleted
        home.account(pop3=plain(pop.port), after_fetch="delete")
        done = home.barid("fetch", "--json")
        assert done.returncode == 75 and '"delete_unsure":true' in done.stdout
        pop.messages.append(small(4)[3])
        result = home.json("fetch")
        assert (result["fetched"], result["deleted"]) == (1, 4)
        assert len(home.mail()) == 4


def test_two_at_once(home):
    def slow(lines, rest):
        time.sleep(1.0)

    with FakePop(small(1), hooks={"LIST": slow}) as pop:
        home.account(pop3=plain(pop.port))
        first = subprocess.Popen([lib.barid_program(), "fetch"], env=home.env, stdout=subprocess.DEVNULL)
        while not any("LIST" in s for s in pop.sessions):
            time.sleep(0.01)
        second = home.barid("fetch")
        assert second.returncode == 75 and "Another barid" in second.stderr
        assert first.wait(60) == 0
    assert len(home.mail()) == 1


# ---- words of servers ----

@pytest.mark.parametrize("code,exit_code,en,ar", [
    ("IN-USE", 75, "Another program", "برنامج آخر"),
    ("LOGIN-DELAY", 75, "pause", "مدة"),
    ("AUTH", 77, "user or password", "كلمة المرور"),
    ("SYS/TEMP", 75, "pass", "يزول"),
    ("SYS/PERM", 69, "provider", "مزود"),
])
def test_response_codes(home, code, exit_code, en, ar):
    with FakePop(hooks={"AUTH": f"-ERR [{code}] \x1b[31mserver words\r\n".encode()}) as pop:
        home.account(pop3=plain(pop.port))
        done = home.barid("fetch")
        assert done.returncode == exit_code and en in done.stderr
        assert "server words" in done.stderr and "\x1b" not in done.stderr
        done = home.barid("fetch", "--lang", "ar")
        assert done.returncode == exit_code and ar in done.stderr


def test_accounts_that_cannot_be_used(home):
    done = home.barid("fetch")
    assert done.returncode == 78 and "accounts.conf" in done.stderr
    home.account(pop3=None)
    assert home.barid("fetch").returncode == 78
    home.account(pop3="127.0.0.1 1 none")
    assert home.barid("fetch").returncode == 75
    home.account(pop3="127.0.0.1 1 none", maildir=None)
    assert home.barid("fetch").returncode == 78
    os.chmod(home.conf, 0o666)
    assert home.barid("fetch").returncode == 77
    os.chmod(home.conf, 0o600)
    os.chmod(home.secret, 0o644)
    home.account(pop3="127.0.0.1 1 none")
    done = home.barid("fetch")
    assert done.returncode == 77 and "chmod 600" in done.stderr
    for words in (["--delete-after"], ["--delete-after", "0"], ["--nothing"], ["a", "b"]):
        assert home.barid("fetch", *words).returncode == 64


# ---- servers that lie before TLS ----

STLS = ("STLS", "UIDL", "SASL PLAIN SCRAM-SHA-256")


def with_rest(lines, rest):
    """The go-ahead and more in one packet."""
    lines.send(b"+OK go\r\n+OK injected\r\n")
    lines.line()
    return False


@pytest.mark.parametrize("name,capa,hooks,greeting", [
    ("not offered", ("UIDL", "SASL PLAIN"), {}, b"+OK\r\n"),
    ("refused", STLS, {"STLS": b"-ERR no\r\n"}, b"+OK\r\n"),
    ("refused, no CAPA", None, {"STLS": b"-ERR no\r\n"}, b"+OK\r\n"),
    ("challenge", STLS, {"STLS": b"+ \r\n"}, b"+OK\r\n"),
    ("garbage", STLS, {"STLS": b"\x16\x03\x01garbage\r\n"}, b"+OK\r\n"),
    ("already logged in", ("UIDL",), {}, b"+OK already logged in as salma\r\n"),
    ("IMAP PREAUTH", STLS, {}, b"* PREAUTH welcome\r\n"),
    ("injected", STLS, {"STLS": with_rest}, b"+OK\r\n"),
    ("plain after go-ahead", STLS, {"STLS": b"+OK go\r\n"}, b"+OK\r\n"),
    ("CAPA without end", ["X"] * 300, {}, b"+OK\r\n"),
])
def test_no_password_without_tls(home, cert, name, capa, hooks, greeting):
    with FakePop(small(1), capa=capa, hooks=hooks, greeting=greeting, cert=cert) as pop:
        home.account(pop3=f"localhost {pop.port} starttls", ca_file=cert[0])
        done = home.barid("fetch", timeout=100)
        assert done.returncode in (69, 75, 76), done.stderr
        if name in ("not offered", "refused", "refused, no CAPA", "challenge"):
            assert done.returncode == 69 and "no STARTTLS" in done.stderr
        if name == "injected":
            assert done.returncode == 69 and "before it was protected" in done.stderr
        assert no_secret(pop.said_in_clear())
        assert not any(w in pop.said_in_clear() for w in (b"USER", b"PASS", b"AUTH", b"LIST"))
        assert not home.mail()


def test_capabilities_before_tls_are_forgotten(home, cert):
    with FakePop(small(1), capa=("STLS", "UIDL", "USER"), cert=cert) as pop:
        def after(lines, rest):
            return b"+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n" if lines.tls else None
        pop.hooks["CAPA"] = after
        home.account(pop3=f"localhost {pop.port} starttls", ca_file=cert[0])
        assert home.json("fetch")["fetched"] == 1
        assert no_secret(pop.said_in_clear())
        assert "AUTH" in pop.sessions[0]


@pytest.mark.parametrize("names,days,host", [(("DNS:other.test",), "30", "localhost"), (("DNS:localhost",), "30", "127.0.0.1"),
                                              (("DNS:*.com",), "30", "localhost"), (("DNS:localhost",), "-1", "localhost")])
def test_certificates(home, tmp_path, names, days, host):
    if days == "-1":
        pair = lapsed(tmp_path)
    else:
        pair = client.certificate(str(tmp_path), names, days)
    with FakePop(small(1), cert=pair, tls=True) as pop:
        home.account(pop3=f"{host} {pop.port}", ca_file=pair[0])
        done = home.barid("fetch")
        assert done.returncode == 69 and "certificate" in done.stderr
        assert pop.sessions == [] or pop.sessions == [[]]


def lapsed(folder):
    cert, key = str(folder / "c.pem"), str(folder / "k.pem")
    faketime = lib.have("faketime")
    if not faketime:
        pytest.skip("faketime is not installed")
    subprocess.run([faketime, "2020-01-01", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "1", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def test_unknown_root(home, cert):
    with FakePop(small(1), cert=cert, tls=True) as pop:
        home.account(pop3=f"localhost {pop.port}")
        assert home.barid("fetch").returncode == 69
        home.account(pop3=f"localhost {pop.port}", ca_file=cert[0])
        assert home.json("fetch")["fetched"] == 1


# ---- servers that lie about logins ----

def scram_server(change=None, password=client.PASSWORD):
    """Hook for AUTH. change: what is done to (step, message)."""
    def auth(lines, rest):
        words = rest.split()
        if words[0] != b"SCRAM-SHA-256":
            return b"-ERR no\r\n"
        player = client.ScramPlayer(password)
        for step, answer in ((1, player.first), (2, player.final)):
            text = base64.b64decode(words[1] if step == 1 else lines.line())
            message = answer(text)
            if change:
                message = change(step, message, text)
            if message is None:
                return b"+OK in\r\n"
            lines.send(b"+ " + base64.b64encode(message) + b"\r\n")
        lines.line()
        return b"+OK in\r\n"
    return auth


def replace(step, data):
    return lambda s, message, text: data if s == step else message


def test_scram_with_a_fair_server(home):
    with FakePop(small(1), capa=("UIDL", "SASL SCRAM-SHA-256"), hooks={"AUTH": scram_server()}) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 1
        assert no_secret(pop.said_in_clear())


@pytest.mark.parametrize("name,change", [
    ("short", replace(1, b"r=x")),
    ("reflected", lambda s, m, text: text if s == 1 else m),
    ("wrong nonce", replace(1, b"r=other,s=AAAA,i=4096")),
    ("iterations", lambda s, m, text: m.replace(b"i=4096", b"i=2147483648") if s == 1 else m),
    ("few iterations", lambda s, m, text: m.replace(b"i=4096", b"i=1") if s == 1 else m),
    ("success without proof", lambda s, m, text: None if s == 2 else m),
    ("success at once", lambda s, m, text: None),
    ("wrong proof", replace(2, b"v=" + base64.b64encode(b"x" * 32))),
    ("empty", replace(1, b"")),
])
def test_scram_with_liars(home, name, change):
    with FakePop(small(1), capa=("UIDL", "SASL SCRAM-SHA-256"), hooks={"AUTH": scram_server(change)}) as pop:
        home.account(pop3=plain(pop.port))
        done = home.barid("fetch")
        assert done.returncode == 77, done.stderr
        assert "did not prove" in done.stderr
        assert no_secret(pop.said_in_clear()) and not home.mail()
        assert "LIST" not in pop.said_in_clear().decode("latin-1")


def test_a_weaker_login_than_before(home):
    with FakePop(small(1), capa=("UIDL", "SASL SCRAM-SHA-256 PLAIN"), hooks={"AUTH": scram_server()}) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 1
        pop.capa = ("UIDL", "SASL PLAIN", "USER")
        pop.hooks = {}
        done = home.barid("fetch")
        assert done.returncode == 77 and "weaker" in done.stderr
        assert no_secret(pop.said_in_clear())
        os.unlink(os.path.join(home.state, "a", "logins"))
        assert home.barid("fetch").returncode == 0


def test_scram_that_cannot_work_for_an_old_user(home, cert):
    """Refused by SCRAM, taken as PLAIN: on a protected line only, and only when nothing better ever worked."""
    def auth(lines, rest):
        return b"-ERR [AUTH] no\r\n" if rest.startswith(b"SCRAM") else None

    with FakePop(small(1), capa=("UIDL", "SASL SCRAM-SHA-256 PLAIN"), hooks={"AUTH": auth}, cert=cert, tls=True) as pop:
        home.account(pop3=f"localhost {pop.port}", ca_file=cert[0])
        assert home.json("fetch")["fetched"] == 1
        pop.hooks["AUTH"] = [b"-ERR [AUTH] no\r\n", False]
        os.unlink(os.path.join(home.state, "a", "logins"))
        assert home.barid("fetch").returncode == 77  # and not: the connection ended


@pytest.mark.parametrize("capa", [("UIDL", "SASL LOGIN"), ("UIDL", "SASL LOGIN", "USER"), ("UIDL", "SASL LOGIN PLAIN")])
def test_login_in_two_steps(home, capa):
    """SASL LOGIN where there is neither PLAIN nor USER, which take fewer round trips."""
    given = []

    def auth(lines, rest):
        if rest != b"LOGIN":
            return None
        for ask in (b"Username:", b"Password:"):
            lines.send(b"+ " + base64.b64encode(ask) + b"\r\n")
            given.append(base64.b64decode(lines.line()))
        return b"+OK in\r\n" if given[1] == client.PASSWORD.encode() else b"-ERR [AUTH] no\r\n"

    with FakePop(small(1), capa=capa, hooks={"AUTH": auth}) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 1
        assert given == ([b"salma@barid.test", client.PASSWORD.encode()] if len(capa) == 2 and "PLAIN" not in capa[1] else [])


def test_tokens(home, cert):
    seen = []

    def auth(lines, rest):
        words = rest.split()
        seen.append((words[0], base64.b64decode(words[1])))
        if len(seen) == 1:
            return b"+OK in\r\n"
        lines.send(b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
        seen.append(lines.line())
        return b"-ERR [AUTH] expired\r\n"

    with FakePop(small(1), capa=("UIDL", "SASL PLAIN XOAUTH2 OAUTHBEARER"), hooks={"AUTH": auth}, cert=cert, tls=True) as pop:
        home.account(pop3=f"localhost {pop.port}", ca_file=cert[0], password_file=None, token_command="echo ya29.abc")
        assert home.json("fetch")["fetched"] == 1
        assert seen[0][0] == b"OAUTHBEARER" and b"\1auth=Bearer ya29.abc\1" in seen[0][1]
        assert home.barid("fetch").returncode == 77
        assert seen[2] == base64.b64encode(b"\1")


# ---- servers that say too much ----

@pytest.mark.parametrize("name,hooks", [
    ("not POP3", {"LIST": b"HTTP/1.1 400 Bad Request\r\n"}),
    ("bare LF", {"LIST": b"+OK\n1 5\n.\n"}),
    ("long line", {"LIST": b"+OK " + b"x" * 100000 + b"\r\n"}),
    ("numbers", {"LIST": b"+OK\r\n1 99999999999999999999999\r\n.\r\n"}),
    ("out of order", {"LIST": b"+OK\r\n2 5\r\n1 5\r\n.\r\n"}),
    ("closed", {"LIST": False}),
    ("closed in a message", {"RETR": lambda lines, rest: lines.send(b"+OK\r\nSubject: half\r\n") or False}),
    ("NUL", {"LIST": b"+OK\r\n1\0 5\r\n.\r\n"}),
])
def test_nonsense(home, name, hooks):
    with FakePop(small(1), hooks=hooks) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete")
        done = home.barid("fetch")
        assert done.returncode in (75, 76), (done.returncode, done.stderr)
        assert home.mail() == {} and len(pop.messages) == 1


def test_a_message_without_end(home):
    def retr(lines, rest):
        lines.send(b"+OK\r\n")
        while True:
            lines.send(b"x" * 70 + b"\r\n")

    with FakePop(small(1), hooks={"RETR": retr}) as pop:
        home.account(pop3=plain(pop.port))
        done = home.barid("fetch")
        assert done.returncode == 76 and "longer than LIST said" in done.stderr
        assert home.mail() == {} and os.listdir(os.path.join(home.maildir, "tmp")) == []


def test_a_million_messages_too_many(home):
    def much(lines, rest):
        lines.send(b"+OK\r\n")
        for start in range(1, 10**7, 10000):
            lines.send("".join(f"{n} 100\r\n" for n in range(start, start + 10000)).encode())

    with FakePop(hooks={"LIST": much}) as pop:
        home.account(pop3=plain(pop.port))
        code, kib = client.memory_kib(home, "fetch")
        assert code == 76
        assert client.asan() or kib < 128 << 10


def test_memory_does_not_grow_with_a_message(home):
    big = b"Subject: big\r\n\r\n" + (b"z" * 76 + b"\r\n") * (100 * 1024 * 1024 // 78)
    with FakePop(small(2)) as pop:
        home.account(pop3=plain(pop.port))
        code, before = client.memory_kib(home, "fetch")
        assert code == 0
        pop.messages.append(["big", big])
        code, kib = client.memory_kib(home, "fetch")
        assert code == 0
        assert client.asan() or kib - before < 2 << 10, (before, kib)
    sizes = sorted(len(m) for m in home.mail().values())
    assert sizes[-1] == len(local(big))


def test_refused_messages_do_not_stop_the_others(home):
    def retr(lines, rest):
        return b"-ERR gone\r\n" if rest == b"2" else None

    with FakePop(small(3), hooks={"RETR": retr}) as pop:
        home.account(pop3=plain(pop.port), after_fetch="delete")
        result = home.json("fetch", code=75)
        assert (result["fetched"], result["missing"], result["deleted"]) == (2, 1, 2)
        pop.hooks = {}
        assert home.json("fetch")["fetched"] == 1


def test_deletions_that_are_refused(home):
    def dele(lines, rest):
        return b"-ERR not this one\r\n" if rest == b"2" else None

    with FakePop(small(3), hooks={"DELE": dele}) as pop:
        home.account(pop3=plain(pop.port))
        home.json("fetch")
        db = sqlite3.connect(os.path.join(home.state, "a", "pop3.db"))
        db.execute("UPDATE message SET at=at-3*86400")
        db.commit()
        db.close()
        result = home.json("fetch", "--delete-after", "3")
        assert (result["to_delete"], result["deleted"]) == (3, 2)
        pop.hooks = {}
        assert home.json("fetch", "--delete-after", "4")["deleted"] == 0  # it is as old as it was
        assert home.json("fetch", "--delete-after", "3")["deleted"] == 1


def test_state_that_is_damaged_is_said(home):
    with FakePop(small(1)) as pop:
        home.account(pop3=plain(pop.port))
        home.json("fetch")
        for end in ("-wal", "-shm"):
            if os.path.exists(os.path.join(home.state, "a", "pop3.db" + end)):
                os.unlink(os.path.join(home.state, "a", "pop3.db" + end))
        with open(os.path.join(home.state, "a", "pop3.db"), "wb") as f:
            f.write(b"no database" * 1000)
        done = home.barid("fetch")
        assert done.returncode == 70 and "Move it away" in done.stderr
        assert len(home.mail()) == 1


# ---- what a server, a disk or a person does once ----

def test_uidl_refused_for_a_moment(home):
    """A server that names its messages, and cannot just now: nothing comes a second time."""
    empty = b"+OK\r\n.\r\n"
    with FakePop(small(3), hooks={"UIDL": [None, b"-ERR locked, try later\r\n", empty, None]}) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 3
        for _ in range(2):
            done = home.barid("fetch")
            assert done.returncode == 75 and len(home.mail()) == 3, done
        assert "UIDL" in done.stderr
        assert home.json("fetch")["known"] == 3
    with FakePop([], hooks={"UIDL": empty}) as pop:
        home.account("b", pop3=plain(pop.port))
        assert home.json("fetch")["listed"] == 0


def test_capitals_in_the_host(home):
    with FakePop(small(2)) as pop:
        home.account(pop3=f"localhost {pop.port} none")
        assert home.json("fetch")["fetched"] == 2
        home.account(pop3=f"LocalHost {pop.port} none")
        assert home.json("fetch")["known"] == 2


def test_shared_ids_and_no_top_any_more(home):
    with FakePop([["same", MESSAGES[0]], ["same", MESSAGES[1]], ["other", MESSAGES[2]]]) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 3
        del pop.messages[0]
        pop.capa = ("UIDL", "USER")
        done = home.barid("fetch")
        assert done.returncode == 69 and "--delete" in done.stderr
        assert len(home.mail()) == 3


def test_all_and_large(home):
    """What came with --large is here: --all leaves no note for it, and it can be deleted."""
    with FakePop([["big", b"Subject: big\r\n\r\n" + b"y" * 70 + b"\r\n" * 3000]]) as pop:
        home.account(pop3=plain(pop.port), message_size_max="2K")
        assert home.json("fetch", "--large")["fetched"] == 1
        assert home.json("fetch", "--all")["notes"] == 0
        assert home.json("fetch", "--all", "--large")["fetched"] == 1
        assert home.json("fetch", "--delete")["deleted"] == 1


@pytest.mark.parametrize("text, between", [(b"", b""), (b"From old\n\ncut he", b"\n\n"), (b"From old\n\nold\n", b"\n"), (b"From old\n\nold\n\n", b""),
                                           (b"\n", b""), (b"x", b"\n\n")])
def test_mbox_that_was_cut(home, text, between):
    """Somebody else's last line has no end: what comes begins a line of its own."""
    mbox = home.file("box", text)
    with FakePop(small(1)) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=mbox, maildir=None)
        assert home.json("fetch")["fetched"] == 1
    with open(mbox, "rb") as f:
        assert f.read().startswith(text + between + b"From MAILER-DAEMON ")


def test_mbox_where_links_cannot_be_made(home, shim):
    """FAT and some network file systems."""
    mbox = home.file("box", b"")
    with FakePop(small(1)) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=mbox, maildir=None)
        done = home.barid("fetch", env=shim.arm(home, "link", client.ERRNO, errno.EPERM, 1, 1))
        assert done.returncode == 0 and shim.hits(), done.stderr
    assert sorted(n for n in os.listdir(home.folder) if n.startswith("box")) == ["box"]


def test_mbox_lock_on_a_full_disk(home, shim):
    """The disk is to blame, not another program."""
    mbox = home.file("box", b"")
    with FakePop(small(1)) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=mbox, maildir=None)
        done = home.barid("fetch", env=shim.arm(home, "link", client.ERRNO, errno.ENOSPC, 1, 1))
        assert done.returncode == 74 and "No space" in done.stderr and "locked" not in done.stderr, done
        assert home.json("fetch")["fetched"] == 1


@pytest.mark.parametrize("place", ["maildir", "mbox"])
def test_killed_and_the_place_is_gone(shim, place):
    """Its disk is not mounted, or somebody has moved it: what was not in place yet comes again."""
    count = 2
    with client.Home() as home, FakePop(small(count)) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=os.path.join(home.folder, "box") if place == "mbox" else None)
        assert home.barid("fetch", env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    for call, n in [("rename", n) for n in range(1, counts["rename"] + 1)] + [("write", n) for n in range(1, counts["write"] + 1)]:
        with client.Home() as home, FakePop(small(count)) as pop:
            box = os.path.join(home.folder, "box")
            home.account(pop3=plain(pop.port), after_fetch="delete", deliver_mbox=box if place == "mbox" else None)
            home.barid("fetch", env=shim.arm(home, call, client.KILL, n=n))
            if place == "maildir" and os.path.isdir(home.maildir):
                os.rename(home.maildir, home.maildir + ".away")
            batch = os.path.join(home.state, "a", "mbox.batch")
            if place == "mbox" and os.path.exists(batch):
                os.unlink(batch)
            assert home.barid("fetch").returncode == 0, (call, n)
            if place == "maildir":
                here = {*home.mail().values(), *home.mail(home.maildir + ".away").values()}
                assert here == {local(m) for _, m in small(count)}, (call, n)
            else:
                with open(box, "rb") as f:
                    text = f.read()
                assert all(b"Subject: %d\n" % i in text for i in range(count)), (call, n)
            assert pop.messages == [], (call, n)


def test_folders_of_a_new_maildir_are_synced(home, shim):
    """Else what is deleted on the server goes with them when the power goes."""
    with FakePop([]) as pop:
        syncs = []
        for n, maildir in enumerate((home.maildir, *[os.path.join(home.folder, "x", "y", "z")] * 2)):
            pop.messages = small(n + 1)
            home.account(pop3=plain(pop.port), maildir=maildir)
            assert home.barid("fetch", env=shim.arm(home)).returncode == 0
            syncs.append(shim.counts()["sync"])
        assert syncs[1] - syncs[2] >= 6, syncs  # x, y, z, tmp, new, cur


def test_why_it_was_refused(home):
    """Each refusal is told in its own words, and no later failure in them."""
    script = home.file("take", "#!/bin/sh\nexit 9\n", 0o700)
    with FakePop(small(2)) as pop:
        home.account(pop3=plain(pop.port), deliver_command=script, maildir=None)
        done = home.barid("fetch")
        assert done.returncode == 75 and "exit code 9" in done.stdout + done.stderr, done
    with FakePop(small(2), capa=("TOP", "UIDL", "USER"), hooks={"RETR": [None, False]}) as pop:
        home.account(pop3=plain(pop.port), deliver_command=script, maildir=None)
        done = home.barid("fetch")
        assert done.returncode == 75 and "exit code 9" not in done.stderr, done
    said = b"550-5.7.1 not this one\r\n550 5.7.1 see https://x.test\r\n"
    with FakePop(small(2)) as pop, client.FakeSmtp(hooks={".": [said]}) as lmtp:
        home.account(pop3=plain(pop.port), deliver_lmtp=f"127.0.0.1:{lmtp.port}", maildir=None)
        done = home.barid("fetch")
        assert done.returncode == 75 and "not this one" in done.stdout + done.stderr, done


def test_a_note_that_is_refused(home):
    script = home.file("take", "#!/bin/sh\nexit 9\n", 0o700)
    with FakePop([["big", b"Subject: big\r\n\r\n" + b"\r\n" * 3000]]) as pop:
        home.account(pop3=plain(pop.port), deliver_command=script, maildir=None, message_size_max="2K")
        result = home.json("fetch", code=75)
        assert (result["notes"], result["refused"]) == (0, 1)


def test_password_file_of_another_system(home):
    """A byte order mark and CRLF, as some editors write them, are no part of the password."""
    home.file("secret", b"\xef\xbb\xbf" + client.PASSWORD.encode() + b"\r\nnotes\r\n")
    with FakePop(small(1)) as pop:
        home.account(pop3=plain(pop.port))
        assert home.json("fetch")["fetched"] == 1


def test_a_header_without_end_keeps_nobody_away(home):
    """Anybody can send one."""
    big = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(6000)) + b"Subject: [ads]\r\n\r\nbody\r\n"
    with FakePop([["big", big], ["s", MESSAGES[0]]]) as pop:
        home.account(pop3=plain(pop.port), skip_header='Subject "[ads]"', message_size_max="1M")
        result = home.json("fetch")
        assert (result["fetched"], result["notes"]) == (1, 1)
        assert home.json("fetch", "--large")["fetched"] == 1


def test_one_that_is_always_later_keeps_nobody_away(home):
    """75 and 4xx are of a message, until it is three in a row."""
    script = home.file("take", '#!/bin/sh\ncase "$(cat)" in *"Subject: 0"*) exit 75;; esac\nexit 0\n', 0o700)
    with FakePop(small(4)) as pop:
        home.account(pop3=plain(pop.port), deliver_command=script, maildir=None)
        done = home.barid("fetch")
        assert done.returncode == 75 and "later" in done.stderr and "not given" not in done.stderr
        result = home.json("fetch", code=75)
        assert (result["known"], result["refused"], result["fetched"], result["failure"]) == (3, 1, 0, None)

    def later(_, data):
        return b"451 4.3.0 not now\r\n" if b"Subject: 0" in data else None
    with FakePop(small(4)) as pop, client.FakeSmtp(hooks={".": later}) as lmtp:
        home.account("b", pop3=plain(pop.port), deliver_lmtp=f"127.0.0.1:{lmtp.port}", maildir=None)
        result = home.json("fetch", code=75)
        assert (result["refused"], result["fetched"], len(lmtp.taken)) == (1, 3, 3)
    tried = home.file("tried", "")
    script = home.file("never", f"#!/bin/sh\necho x >>{tried}\nexit 75\n", 0o700)
    with FakePop(small(9)) as pop:
        home.account("c", pop3=plain(pop.port), deliver_command=script, maildir=None)
        assert home.barid("fetch").returncode == 75
        assert os.path.getsize(tried) == 2 * 3


def test_a_new_mbox_is_synced(home, shim):
    """Its name too: what is deleted on the server would go with it when the power goes."""
    with FakePop([]) as pop:
        syncs = []
        for n, name in enumerate(("first", "box", "box")):
            pop.messages = small(n + 1)
            home.account(pop3=plain(pop.port), deliver_mbox=os.path.join(home.folder, name), maildir=None)
            assert home.barid("fetch", env=shim.arm(home)).returncode == 0
            syncs.append(shim.counts()["sync"])
        assert syncs[1] - syncs[2] == 1, syncs


def test_an_mbox_in_no_folder(home):
    """It is said before everything has come for nothing."""
    with FakePop(small(2)) as pop:
        home.account(pop3=plain(pop.port), deliver_mbox=os.path.join(home.folder, "none", "box"), maildir=None)
        done = home.barid("fetch")
        assert done.returncode == 74 and "/none" in done.stderr, done
        assert pop.sessions == []
