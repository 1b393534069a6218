"""backup and restore: by a running server and without one; everything, one owner, one mailbox, one message."""
import contextlib
import json
import os
import poplib
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
from server import Server  # noqa: E402

BIG = b"Subject: big\r\n\r\n" + b"a line of a big message\r\n" * 20000


def message(n):
    return b"Subject: number %d\r\n\r\ntext %d\r\n" % (n, n)


@pytest.fixture
def server():
    with Server() as s:
        yield s


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "backups")


def filled(server):
    user = server.user()
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        for name in ("Work", "رسائل"):
            c.command(b"CREATE \"" + utf7(name) + b"\"")
        for n in range(6):
            c.command(raw.append_command("INBOX", message(n), "\\Seen kw" if n % 2 else ""))
        c.command(raw.append_command("Work", BIG, "\\Flagged"))
        c.command(b"APPEND \"" + utf7("رسائل") + b"\" {%d+}\r\n" % len(message(7)) + message(7))
        c.command("SELECT INBOX")
        c.command("COPY 2 Work")
    return user


def utf7(name):
    import base64
    if name.isascii():
        return name.encode()
    return b"&" + base64.b64encode(name.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",") + b"-"


def everything(server, user):
    """{mailbox: [(flags, bytes)]}, ordered."""
    found = {}
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        names = [re.search(rb'"?([^" ]+)"?$', p[0]).group(1) for p in c.command('LIST "" *')[1] if b"\\Noselect" not in p[0]]
        for name in names:
            c.command(b'EXAMINE "' + name + b'"')
            rows = []
            for parts in c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]:
                if len(parts) == 3:
                    flags = re.search(rb"FLAGS \(([^)]*)\)", parts[0] + parts[2]).group(1).split()
                    rows.append((tuple(sorted(set(flags) - {b"\\Recent"})), parts[1]))
            found[name] = sorted(rows)
    return found


def empty(c, *names):
    for name in names:
        c.command("SELECT " + name)
        c.command("STORE 1:* +FLAGS (\\Deleted)")
        c.command("EXPUNGE")


def numbers(server, user, name="INBOX"):
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        text = c.command(f"STATUS {name} (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)")[1][0][0]
        return {k.decode(): int(v) for k, v in re.findall(rb"(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)", text)}


def uidls(server, user):
    c = poplib.POP3("127.0.0.1", server.port("pop3"))
    c.user(user.address)
    c.pass_(user.password)
    lines = [line.split()[1] for line in c.uidl()[1]]
    c.quit()
    return lines


def backups(folder):
    return sorted(os.listdir(folder))


def code(server, *args):
    return server.run(*args, check=False).returncode


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_everything_elsewhere(server, folder, running):
    user, other = filled(server), filled(server)
    server.user("nomail")
    before, ids = everything(server, user), uidls(server, user)
    old = numbers(server, user)
    if not running:
        server.stop()
    server.run("backup", folder)
    with Server() as elsewhere:
        elsewhere.stop()
        shutil.rmtree(elsewhere.data)
        elsewhere.run("restore", folder, "--all")
        assert code(elsewhere, "fsck", "--all") == 0
        elsewhere.start()
        assert everything(elsewhere, user) == before
        assert everything(elsewhere, other).keys() == before.keys()
        assert uidls(elsewhere, user) == ids
        new = numbers(elsewhere, user)
        assert new["UIDVALIDITY"] > old["UIDVALIDITY"] and new["HIGHESTMODSEQ"] > old["HIGHESTMODSEQ"]
        assert elsewhere.run("restore", folder, "--all", check=False).returncode != 0  # there are users now


def test_the_second_copies_what_changed(server, folder):
    user, other = filled(server), filled(server)
    assert "2 mailboxes copied, 0 unchanged" in server.run("backup", folder)
    assert "0 mailboxes copied, 2 unchanged" in server.run("backup", folder)
    server.append(other, message(7))  # within the tick of a clock, perhaps
    assert "1 mailboxes copied, 1 unchanged" in server.run("backup", folder)
    time.sleep(3.1)
    assert "0 mailboxes copied, 2 unchanged" in server.run("backup", folder)  # known as settled from here on
    assert "0 mailboxes copied, 2 unchanged" in server.run("backup", folder)
    server.append(user, message(8))
    assert "1 mailboxes copied, 1 unchanged" in server.run("backup", folder)
    first, last = (os.path.join(folder, backups(folder)[i], "accounts") for i in (0, -1))
    for name in os.listdir(first):
        big, = os.listdir(os.path.join(first, name, "big"))
        assert os.path.samefile(os.path.join(first, name, "big", big), os.path.join(last, name, "big", big))
    assert len(backups(folder)) == 6
    shutil.rmtree(os.path.join(folder, backups(folder)[0]))  # old ones can go
    shutil.rmtree(os.path.join(folder, backups(folder)[0]))
    before = everything(server, user)
    server.run("restore", folder, user.address, "--replace")
    assert everything(server, user) == before
    assert everything(server, other)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_what_is_missing_is_added(server, folder, running):
    user = filled(server)
    before, ids = everything(server, user), uidls(server, user)
    server.run("backup", folder)
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        c.command("SELECT INBOX")
        c.command("STORE 2:3 +FLAGS (\\Deleted)")
        c.command("EXPUNGE")
        c.command("MOVE 1 Work")  # moved is not missing
        c.command(b'DELETE "' + utf7("رسائل") + b'"')
        c.command("SELECT Work")
        c.command("STORE 1 +FLAGS (\\Deleted)")
        c.command("EXPUNGE")
        c.command(raw.append_command("INBOX", message(9)))
    there = numbers(server, user)
    if not running:
        server.stop()
    assert "3 messages came back" in server.run("restore", folder, user.address)  # "number 1" has its copy in Work
    assert "0 messages came back" in server.run("restore", folder, user.address)
    if not running:
        server.start()
    after = everything(server, user)
    moved = before[b"INBOX"].copy()
    moved.remove(((), message(0)))
    moved.remove(((b"\\Seen", b"kw"), message(1)))
    assert after[b"INBOX"] == sorted(moved + [((), message(9))])
    assert sorted(after[b"Work"]) == sorted(before[b"Work"] + [((), message(0))])
    assert after[utf7("رسائل")] == before[utf7("رسائل")]
    now = numbers(server, user)
    assert now["UIDVALIDITY"] == there["UIDVALIDITY"] and now["UIDNEXT"] == there["UIDNEXT"] + 1
    assert set(ids) - set(uidls(server, user)) == set(ids[:2])  # those are in Work; the others have the UIDL they had
    assert code(server, "fsck", user.address) == 0


def test_one_mailbox_or_one_message(server, folder):
    user = filled(server)
    before = everything(server, user)
    server.run("backup", folder)
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        empty(c, "INBOX", "Work")
    where = os.path.join(folder, backups(folder)[0])
    listed = server.run("restore", where, "--list", user.address, "--mailbox", "INBOX").splitlines()
    assert [line.split(None, 4)[4] for line in listed] == [f"number {n}" for n in range(6)]
    uid = listed[3].split()[0]
    assert "1 messages came back" in server.run("restore", where, user.address, "--mailbox", "INBOX", "--uid", uid)
    assert [b for _, b in everything(server, user)[b"INBOX"]] == [message(3)]
    assert "2 messages came back" in server.run("restore", folder, user.address, "--mailbox", "Work")
    assert everything(server, user)[b"Work"] == before[b"Work"]
    for words in (("--mailbox", "None"), ("--mailbox", "INBOX", "--uid", "4000")):
        assert code(server, "restore", folder, user.address, *words) != 0
    assert user.address in server.run("restore", folder, "--list")
    assert "رسائل" in server.run("restore", folder, "--list", user.address)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_removed_user_comes_back(server, folder, running):
    user = filled(server)
    before = everything(server, user)
    server.run("backup", folder)
    server.run("user", "remove", user.address, "--yes")
    if not running:
        server.stop()
    server.run("restore", folder, user.address)
    if not running:
        server.start()
    assert everything(server, user) == before


def test_a_backup_named_by_a_wrong_clock_is_told(server, folder):
    filled(server)
    server.run("backup", folder)
    os.rename(os.path.join(folder, *backups(folder)), os.path.join(folder, "2099-01-01T00-00-00Z"))
    result = server.run("backup", folder, check=False)
    assert result.returncode == 0 and b"2099-01-01T00-00-00Z" in result.stderr
    os.rename(os.path.join(folder, "2099-01-01T00-00-00Z"), os.path.join(folder, "2026-01-01T00-00-00Z"))
    time.sleep(1.1)
    assert server.run("backup", folder, check=False).stderr == b""


def aliases(server):
    return {(a["alias"], a["target"]) for a in json.loads(server.run("alias", "list", "--json"))}


def test_a_removed_user_comes_back_with_its_aliases(server, folder):
    user, other = filled(server), server.user()
    domain = user.address.split("@")[1]
    server.run("domain", "add", "gone.example")
    for alias, *targets in (("sales", user.address), ("shop", "sales"), ("office", "shop", "sales"), ("shop", "office"), ("all", user.address, other.address),
                            ("taken", user.address), ("after", "taken"), ("x@gone.example", user.address)):
        address = lambda name: name if "@" in name else f"{name}@{domain}"  # noqa: E731
        server.run("alias", "add", address(alias), *map(address, targets))
    before = aliases(server)
    server.run("backup", folder)
    server.run("alias", "remove", f"office@{domain}", f"shop@{domain}")  # a loop would stay
    server.run("user", "remove", user.address, "--yes")
    assert aliases(server) == {(f"all@{domain}", other.address)}
    server.run("alias", "add", f"taken@{domain}", other.address)  # leads elsewhere now, and what led to it may not follow
    server.run("domain", "remove", "gone.example")
    server.run("restore", folder, user.address)
    lost = {(f"all@{domain}", user.address), (f"taken@{domain}", user.address), (f"after@{domain}", f"taken@{domain}"), ("x@gone.example", user.address)}
    assert aliases(server) == before - lost | {(f"taken@{domain}", other.address)}


def test_a_damaged_mailbox_gets_its_backup(server, folder):
    user = filled(server)
    before = everything(server, user)
    server.run("backup", folder)
    server.stop()
    account, = os.listdir(os.path.join(server.data, "accounts"))
    os.truncate(os.path.join(server.data, "accounts", account, "mail.db"), 20000)
    assert code(server, "restore", folder, user.address) != 0
    server.start()
    assert code(server, "restore", folder, user.address) != 0
    server.run("restore", folder, user.address, "--replace")
    assert everything(server, user) == before
    assert code(server, "fsck", user.address) == 0


def test_damage_is_told_and_never_put_in_place(server, folder):
    user = filled(server)
    server.stop()
    account, = os.listdir(os.path.join(server.data, "accounts"))
    path = os.path.join(server.data, "accounts", account, "mail.db")
    with open(path, "r+b") as f:
        f.seek(f.read().index(b"text 3"))
        f.write(b"tExt")
    assert code(server, "backup", folder) == 1
    assert code(server, "restore", folder, user.address, "--replace") != 0
    assert os.listdir(os.path.join(server.data, "incoming")) == []


def test_a_mailbox_that_cannot_be_read_keeps_its_last_backup(server, folder):
    user = filled(server)
    before = everything(server, user)
    server.run("backup", folder)
    server.stop()
    account, = os.listdir(os.path.join(server.data, "accounts"))
    os.truncate(os.path.join(server.data, "accounts", account, "mail.db"), 20000)
    assert code(server, "backup", folder) not in (0, 1)
    assert len(backups(folder)) == 2
    server.run("restore", folder, user.address, "--replace")
    server.start()
    assert everything(server, user) == before


def test_twice_in_one_mailbox_comes_back_twice(server, folder):
    user = server.user()
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        for data in (BIG, message(1)):
            c.command(raw.append_command("INBOX", data))
        c.command("SELECT INBOX")
        c.command("COPY 1:2 INBOX")
        before = everything(server, user)
        server.run("backup", folder)
        c.command("STORE 1:* +FLAGS (\\Deleted)")
        c.command("EXPUNGE")
        assert "4 messages came back" in server.run("restore", folder, user.address, "--mailbox", "inbox")
        assert everything(server, user) == before
        c.command("SELECT INBOX")
        c.command("STORE 1:2 +FLAGS (\\Deleted)")
        c.command("EXPUNGE")
    assert sorted(data for _, data in everything(server, user)[b"INBOX"]) == sorted([BIG, message(1)])
    assert code(server, "fsck", user.address) == 0


def test_a_backup_that_lost_a_body_replaces_nothing(server, folder):
    user = filled(server)
    server.run("backup", folder)
    for where, _, files in os.walk(folder):
        if os.path.basename(where) == "big":
            os.unlink(os.path.join(where, files[0]))
    before = everything(server, user)
    assert code(server, "restore", folder, user.address, "--replace") != 0
    assert everything(server, user) == before
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        empty(c, "INBOX", "Work")
    assert code(server, "restore", folder, user.address) == 1  # what can be read comes back, and it is told that one cannot
    after = everything(server, user)
    assert after[b"INBOX"] == before[b"INBOX"] and len(after[b"Work"]) == len(before[b"Work"]) - 1


def test_an_address_that_is_an_alias_now_is_not_taken(server, folder):
    user, other = filled(server), server.user()
    server.run("backup", folder)
    server.run("user", "remove", user.address, "--yes")
    server.run("alias", "add", user.address, other.address)
    assert code(server, "restore", folder, user.address) != 0
    server.run("alias", "remove", user.address)
    server.run("restore", folder, user.address)
    assert everything(server, user)


def test_a_session_goes_on_beside_a_backup_and_ends_at_a_replace(server, folder):
    user = filled(server)
    server.run("backup", folder)
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        c.command("SELECT INBOX")
        server.run("backup", folder)
        c.command("NOOP")
        server.run("restore", folder, user.address, "--replace")
        with pytest.raises(OSError):
            c.command("NOOP")
            c.command("NOOP")


def ask(server, line):
    """The control socket: (connection, what it said first)."""
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(20)
    c.connect(os.path.join(server.data, "control.sock"))
    c.sendall(line.encode() + b"\n")
    said = b""
    while not said.endswith(b"ok\n") and not said.startswith(b"failed"):
        said += c.recv(1000)
    return c, said


def test_a_held_account_stands_still(server):
    """Its files do not change and none goes, whatever its owner does meanwhile; once released, all catches up."""
    user = filled(server)
    account, = os.listdir(os.path.join(server.data, "accounts"))
    folder = os.path.join(server.data, "accounts", account)

    def files():
        with open(os.path.join(folder, "mail.db"), "rb") as f:
            return f.read(), sorted(os.listdir(os.path.join(folder, "big")))

    held, said = ask(server, f"hold {account}")
    assert re.fullmatch(rb"modseq \d+\nok\n", said)
    again, refused = ask(server, f"hold {account}")
    assert refused == b"failed: busy\n"
    again.close()
    before = files()
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        for n in range(150):
            c.command(raw.append_command("INBOX", b"Subject: more\r\n\r\n" + b"%070d\r\n" % n * 400))
        empty(c, "Work")
        assert code(server, "fsck", user.address) == 0
        assert files() == before
        c.command("SELECT INBOX")
        assert len(c.command("FETCH 1:* FLAGS")[1]) == 156
        held.close()
        until = time.monotonic() + 20
        while True:
            c.command(raw.append_command("INBOX", message(1)))
            now = files()
            if now[0] != before[0] and now[1] == []:
                break
            assert time.monotonic() < until
            time.sleep(0.05)
    assert code(server, "fsck", user.address) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_does_by_hand_is_the_servers(folder):
    """The server runs as another user; what root does while it is stopped must not lock it out."""
    with contextlib.closing(Server({"server.user": "nobody"})) as server:
        os.chmod(server.directory, 0o755)
        shutil.chown(server.key, "nobody")
        server.start()
        user = filled(server)
        before = everything(server, user)
        server.stop()
        assert code(server, "fsck", "--all") == 0
        server.run("backup", folder)
        server.run("rebuild", user.address)
        server.run("restore", folder, user.address, "--replace")
        server.start()
        assert everything(server, user) == before
        server.append(user, BIG)
        server.run("restore", folder, user.address, "--replace")
        server.append(user, BIG)
        server.stop()
        with contextlib.closing(Server({"server.user": "nobody"})) as unserved:
            os.chmod(unserved.directory, 0o755)
            shutil.chown(unserved.key, "nobody")
            unserved.user()
            unserved.run("backup", folder)
            unserved.start()
        owners = {os.stat(os.path.join(where, name)).st_uid for where, folders, files in os.walk(server.data) for name in folders + files}
        assert owners == {os.stat(server.data).st_uid} and owners != {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_does_is_the_servers_behind_a_link_too(folder):
    """The path in the configuration may be a symbolic link, as an administrator moves the data to another disk."""
    with contextlib.closing(Server({"server.user": "nobody"})) as server:
        os.chmod(server.directory, 0o755)
        shutil.chown(server.key, "nobody")
        user = server.user()
        server.start()
        server.append(user, message(1))
        server.stop()
        os.rename(server.data, server.data + "-elsewhere")
        os.symlink(server.data + "-elsewhere", server.data)
        server.run("backup", folder)
        server.run("user", "remove", user.address, "--yes")
        server.run("restore", folder, user.address)  # makes its folder anew
        owner = os.stat(server.data).st_uid
        assert owner != 0
        wrong = [os.path.join(where, name) for where, folders, files in os.walk(server.data + "-elsewhere") for name in folders + files
                 if os.lstat(os.path.join(where, name)).st_uid != owner]
        assert wrong == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_explaining_one_mailbox_walks_no_other():
    with contextlib.closing(Server({"server.user": "nobody"})) as server:
        os.chmod(server.directory, 0o755)
        shutil.chown(server.key, "nobody")
        server.start()
        users = [server.user(), server.user()]
        for user in users:
            server.append(user, message(1))
        server.stop()
        folders = [os.path.join(server.data, "accounts", json.loads(server.run("user", "show", u.address, "--json"))["id"]) for u in users]
        for one in folders:
            os.chown(os.path.join(one, "mail.db"), 0, 0)
        server.run("explain", users[0].address)
        assert os.stat(os.path.join(folders[0], "mail.db")).st_uid == os.stat(server.data).st_uid
        assert os.stat(os.path.join(folders[1], "mail.db")).st_uid == 0  # not looked at


def test_wrong_words(server, folder):
    user = filled(server)
    assert code(server, "restore", folder, user.address) != 0  # no backup there
    server.run("backup", folder)
    for words in ((), ("--all", user.address), (user.address, "--uid", "3"), (user.address, "--mailbox", "INBOX", "--replace"),
                  (user.address, "--mailbox", "INBOX", "--uid", "x"), ("--nothing",), (user.address, "another@barid.test")):
        assert code(server, "restore", folder, *words) == 64, words
    assert code(server, "restore", folder, "nobody@barid.test") != 0
    assert code(server, "backup") == 64
    assert code(server, "backup", "/proc/nowhere") not in (0, 64)


def test_only_one_backup_at_a_time_into_a_folder(server, folder):
    filled(server)
    many = [subprocess.Popen([server.barid, "-c", server.config_file, "backup", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(3)]
    codes = [p.wait() for p in many]
    assert 0 in codes
    assert len(backups(folder)) == codes.count(0)
