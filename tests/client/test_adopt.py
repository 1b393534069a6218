"""barid sync takes over what mbsync and offlineimap kept: nothing comes again, nothing is doubled, what either side did since is done on the other, and a state that lies does no harm."""
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

import peers
from capproxy import Proxy
from server import User, barid_program
from twosides import Client, Far, Near, message

ARABIC_FAR = "&BicGRAY5BkUGRA-"  # العمل


class Mbsync:
    """mbsync of Debian, with the state in the Maildir or in ~/.mbsync."""

    def __init__(self, home, port, user, state="*", more=""):
        self.home, self.mail = home, os.path.join(home, "Mail")
        os.makedirs(self.mail, exist_ok=True)
        self.rc = os.path.join(home, "mbsyncrc")
        with open(self.rc, "w", encoding="utf-8") as f:
            f.write(f"""\
IMAPAccount a
Host 127.0.0.1
Port {port}
User {user.address}
Pass "{user.password}"
SSLType None
AuthMechs PLAIN

IMAPStore far
Account a

MaildirStore near
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim
{more}

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
{'SyncState *' if state == '*' else ''}
""")

    def __call__(self):
        done = subprocess.run(["mbsync", "-c", self.rc, "-a"], env={**os.environ, "HOME": self.home}, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done
        assert "error" not in done.stderr.lower(), done.stderr


TUNNEL = """\
import os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
"""


class Offlineimap:
    def __init__(self, home, port, user, sep=".", more=""):
        self.home, self.mail = home, os.path.join(home, "Mail")
        os.makedirs(self.mail, exist_ok=True)
        tunnel = os.path.join(home, "tunnel.py")
        with open(tunnel, "w", encoding="ascii") as f:
            f.write(TUNNEL)
        how = f"remoteuser = {user.address}\nremotepass = {user.password}"
        if user.password == "nothing":  # a server that knows us already
            how = f"preauthtunnel = {sys.executable} {tunnel} {port}"
        with open(os.path.join(home, ".offlineimaprc"), "w", encoding="utf-8") as f:
            f.write(f"""\
[general]
accounts = Main
[Account Main]
localrepository = Local
remoterepository = Remote
[Repository Local]
type = Maildir
localfolders = ~/Mail
sep = {sep}
[Repository Remote]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
ssl = no
starttls = no
auth_mechanisms = PLAIN
{how}
{more}
""")

    def __call__(self):
        done = subprocess.run(["offlineimap", "-u", "quiet", "-o"], env={**os.environ, "HOME": self.home}, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done


PROGRAMS = {"mbsync": Mbsync, "offlineimap": Offlineimap}


@pytest.fixture(params=list(PROGRAMS))
def program(request):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed (tools/deps check)")
    return request.param


class World:
    """Both programs on one Maildir of one mailbox; barid through a proxy that counts."""

    def __init__(self, home, port, user, kept, proxy, extra="", **more):
        self.home, self.proxy = str(home), proxy
        self.far = Far(port, user)
        self.kept = PROGRAMS[kept](self.home, port, user, **more)
        self.client = Client(self.home, proxy.port, user, extra)
        self.near = Near(self.client.maildir)

    def sync(self, *words, code=0):
        """Bytes that came, and what was said."""
        before = self.proxy.passed
        said = self.client.sync(*words, code=code)
        return self.proxy.passed - before, said

    def local(self, folder):
        return {n: p for n, p in self.near.files(folder).items()}

    def everywhere(self, folder, path=None):
        """What both sides hold of a folder, which has to be the same; each message once."""
        there = self.far.table()[folder]
        here = {n: self.near.flags(path or folder, p) for n, p in self.near.files(path or folder).items()}
        assert there == here, (there, here)
        return there


SIZE = 30000


@pytest.fixture(params=["barid", "dovecot"])
def world(request, server, tmp_path, program):
    if request.param == "barid":
        with Proxy(server.port("imap")) as proxy:
            yield World(tmp_path, server.port("imap"), server.user(), program, proxy)
        return
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer, Proxy(peer.port) as proxy:
        yield World(tmp_path, peer.port, User("salma@barid.test", "nothing"), program, proxy)


@pytest.fixture
def only(server, tmp_path):
    def make(kept, **more):
        if shutil.which(kept) is None:
            pytest.skip(f"{kept} is not installed (tools/deps check)")
        return World(tmp_path, server.port("imap"), server.user(), kept, proxy, **more)
    with Proxy(server.port("imap")) as proxy:
        yield make


def paths(w):
    return {"Work/2026": "Work.2026" if isinstance(w.kept, Offlineimap) else "Work/2026"}


def test_nothing_comes_again_and_changes_are_carried_over(world):
    w = world
    w.far.make("Work")
    w.far.make("Work/2026")
    w.far.make(ARABIC_FAR)
    w.far.add_many("INBOX", range(1, 21), size=SIZE)
    w.far.add_many("Work/2026", range(30, 38), size=SIZE)  # 37 has no Message-ID
    w.far.add_many(ARABIC_FAR, [50, 51], size=SIZE)
    for n in (1, 2, 3, 17):
        w.far.set_flags("INBOX", n, ["\\Seen", "\\Flagged"])
    w.kept()
    work = paths(w)["Work/2026"]
    assert set(w.near.files(work)) == set(range(30, 38))
    before = {n: os.path.basename(p).partition(":")[0] for n, p in w.local("INBOX").items()}
    # since then, on both sides
    w.far.set_flags("INBOX", 1, ["\\Seen"])          # a flag goes there
    w.near.set_flags("INBOX", 2, ["\\Seen"])         # and one here
    w.near.set_flags("INBOX", 4, ["\\Answered"])
    w.far.set_flags("INBOX", 5, ["\\Draft"])
    w.far.remove("INBOX", [6])
    w.near.remove("INBOX", [8])
    w.far.remove("INBOX", [9])
    w.near.remove("INBOX", [9])
    w.far.add("INBOX", 61)
    w.near.add("INBOX", 62)
    w.far.remove("Work/2026", [30])
    came, said = w.sync("--dry-run")
    assert came < 5 * SIZE, (came, said)
    came, said = w.sync()
    assert came < 5 * SIZE and "were known from mbsync or offlineimap" in said, (came, said)
    inbox = w.everywhere("INBOX")
    assert set(inbox) == {*range(1, 21), 61, 62} - {6, 8, 9}
    assert inbox[1] == {"\\Seen"} and inbox[2] == {"\\Seen"} and inbox[3] == {"\\Seen", "\\Flagged"}
    assert inbox[17] == {"\\Seen", "\\Flagged"} and inbox[4] == {"\\Answered"} and inbox[5] == {"\\Draft"}
    assert set(w.everywhere("Work/2026", work)) == set(range(31, 38))
    assert set(w.everywhere(ARABIC_FAR)) == {50, 51}
    # no folder was made for a name of theirs, there or here
    assert not [f for f in w.far.table() if "." in f or "&-" in f]
    assert "العمل" not in os.listdir(w.client.maildir)
    after = {n: os.path.basename(p).partition(":")[0] for n, p in w.local("INBOX").items()}
    assert {n: b for n, b in after.items() if n in before} == {n: b for n, b in before.items() if n in after}
    # what was removed can be brought back
    assert "2 messages" in w.client.run("undo", "--list").stdout or "3 messages" in w.client.run("undo", "--list").stdout
    came, said = w.sync()
    assert "0 new here, 0 new there, 0 flag changes, 0 moved, 0 removed here, 0 removed there" in said and came < SIZE
    done = w.client.run("verify", "--bytes")
    assert done.returncode == 0, done.stdout + done.stderr


def test_much_that_is_gone_is_braked(only, program):
    w = only(program)
    w.far.add_many("INBOX", range(1, 37))
    w.kept()
    w.near.remove("INBOX", [n for n in range(1, 31) if n % 10 != 7])
    _, said = w.sync(code=20)
    assert "27 messages would be removed on the server" in said
    assert len(w.far.table()["INBOX"]) == 36
    w.sync("--yes-delete")
    assert len(w.everywhere("INBOX")) == 9


def lie_uidvalidity(w):
    if isinstance(w.kept, Mbsync):
        path = os.path.join(w.client.maildir, "INBOX", ".mbsyncstate")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(re.sub(r"FarUidValidity \d+", "FarUidValidity 4711", text))
    else:
        with open(os.path.join(w.home, ".offlineimap/Repository-Remote/FolderValidity/INBOX"), "w", encoding="ascii") as f:
            f.write("4711\n")


def lie_swapped(w):
    """Two messages change their UIDs in what the program knows."""
    if isinstance(w.kept, Mbsync):
        path = os.path.join(w.client.maildir, "INBOX", ".mbsyncstate")
        with open(path, encoding="ascii") as f:
            head, _, rows = f.read().partition("\n\n")
        lines = [line.split(" ", 2) for line in rows.splitlines()]
        by_near = {line[1]: line for line in lines}
        by_near["1"][0], by_near["2"][0] = by_near["2"][0], by_near["1"][0]
        with open(path, "w", encoding="ascii") as f:
            f.write(head + "\n\n" + "".join(" ".join(line) + "\n" for line in lines))
    else:
        files = w.near.files("INBOX")
        for a, b in ((1, 2), (2, 1)):
            folder, name = os.path.split(files[a])
            os.rename(files[a], os.path.join(folder, name.replace(f",U={a},", f",U={b},")))


def lie_doubled(w):
    """Two messages share what should tell them apart."""
    if isinstance(w.kept, Mbsync):
        path = os.path.join(w.client.maildir, "INBOX", ".mbsyncstate")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(text.replace("\n2 2 ", "\n2 1 ").replace("\n6 6 ", "\n5 6 "))
    else:
        folder, name = os.path.split(w.near.files("INBOX")[2])
        os.rename(os.path.join(folder, name), os.path.join(folder, name.replace(",U=2,", ",U=1,")))
    lie_exchanged(w)


def lie_exchanged(w):
    """And one is another one: nothing about removals is believed."""
    if isinstance(w.kept, Mbsync):
        path = os.path.join(w.client.maildir, "INBOX", ".mbsyncstate")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(text.replace("\n8 8 ", "\n9 8 ", 1).replace("\n9 9 ", "\n8 9 ", 1))
    else:
        folder, name = os.path.split(w.near.files("INBOX")[8])
        os.rename(os.path.join(folder, name), os.path.join(folder, name.replace(",U=8,", ",U=99,")))
        folder, name = os.path.split(w.near.files("INBOX")[9])
        os.rename(os.path.join(folder, name), os.path.join(folder, name.replace(",U=9,", ",U=8,")))


@pytest.mark.parametrize("lie", [lie_uidvalidity, lie_swapped, lie_doubled])
def test_a_state_that_lies_does_no_harm(only, program, lie):
    """No message is bound to another one, and nothing is removed because of it; what is the same is still known by what it holds."""
    w = only(program)
    w.far.add_many("INBOX", range(1, 11), size=SIZE)
    w.far.set_flags("INBOX", 1, ["\\Flagged"])
    w.kept()
    lie(w)
    w.far.remove("INBOX", [3])
    w.near.remove("INBOX", [4])
    w.sync()
    inbox = w.everywhere("INBOX")
    # nobody can be believed that 3 and 4 were on both sides: they come to the side that lacks them
    assert set(inbox) == set(range(1, 11))
    assert inbox[1] == {"\\Flagged"} and inbox[2] == frozenset()
    _, said = w.sync()
    assert "0 new here, 0 new there" in said
    bodies = w.far.bodies()
    assert {n: bodies["INBOX", n].replace(b"\r\n", b"\n") for n in (1, 2)} == {n: message(n, SIZE).replace(b"\r\n", b"\n") for n in (1, 2)}


@pytest.mark.parametrize("left", [0, 1])
def test_nothing_left_here_removes_nothing(only, program, left):
    """A Maildir whose files are all gone proves nothing about the state: the mail comes again."""
    w = only(program)
    w.far.add_many("INBOX", range(1, 9))
    w.kept()
    if left:  # a file whose message is gone there can be compared with nothing either
        w.far.remove("INBOX", [1])
    w.near.remove("INBOX", range(1 + left, 9))
    w.sync()
    assert set(w.everywhere("INBOX")) == set(range(1, 9))


# ---- what only one of them has ----

def test_mbsync_with_its_state_at_home(only):
    w = only("mbsync", state="home")
    w.far.make("Work")
    w.far.add_many("INBOX", range(1, 11), size=SIZE)
    w.far.add_many("Work", range(20, 26), size=SIZE)
    w.kept()
    assert not os.path.exists(os.path.join(w.client.maildir, "INBOX/.mbsyncstate"))
    w.near.remove("INBOX", [1])
    w.far.remove("Work", [20])
    came, said = w.sync()
    assert came < 2 * SIZE and "were known" in said, (came, said)
    assert set(w.everywhere("INBOX")) == set(range(2, 11)) and set(w.everywhere("Work")) == set(range(21, 26))


def test_mbsync_that_was_cut_is_not_believed_about_removals(only):
    w = only("mbsync")
    w.far.add_many("INBOX", range(1, 11), size=SIZE)
    w.kept()
    with open(os.path.join(w.client.maildir, "INBOX/.mbsyncstate.journal"), "w", encoding="ascii") as f:
        f.write("4\n")
    w.near.remove("INBOX", [1])
    w.far.remove("INBOX", [2])
    came, _ = w.sync()
    assert set(w.everywhere("INBOX")) == set(range(1, 11)) and came < 3 * SIZE


def test_mbsync_placeholders_become_messages(only):
    w = only("mbsync", more="MaxSize 10k")
    w.far.add_many("INBOX", [1, 2, 3])
    w.far.add("INBOX", 4, size=SIZE)
    w.kept()
    notes = []
    for part in ("new", "cur"):
        for name in os.listdir(os.path.join(w.client.maildir, "INBOX", part)):
            with open(os.path.join(w.client.maildir, "INBOX", part, name), "rb") as f:
                notes += [name for line in f if line.startswith(b"Subject: [placeholder]")]
    assert len(notes) == 1
    w.sync()
    assert set(w.everywhere("INBOX")) == {1, 2, 3, 4}
    assert w.near.bodies()["INBOX", 4] == message(4, SIZE)
    assert "1 messages" in w.client.run("undo", "--list").stdout


def test_killed_while_taking_over(only):
    """Stopped again and again until it gets through: as if it had never been stopped."""
    w = only("mbsync", more="MaxSize 10k")
    w.far.add_many("INBOX", range(1, 31))
    w.far.add("INBOX", 40, size=SIZE)
    w.kept()
    new, cur = (os.path.join(w.client.maildir, "INBOX", part) for part in ("new", "cur"))
    for name in os.listdir(new):  # by name: the note in the place of 40 has no number of its own
        if re.search(r",U=[12]:", name):
            os.unlink(os.path.join(new, name))
        elif ",U=3:" in name:
            os.rename(os.path.join(new, name), os.path.join(cur, name.partition(":")[0] + ":2,S"))
    w.far.remove("INBOX", [4, 5])
    killed = 0
    for turn in range(60):
        process = subprocess.Popen([barid_program(), "sync"], env=w.client.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.004 * 1.15 ** turn)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.kill()
        process.wait()
        killed += 1
    assert killed > 3
    inbox = w.everywhere("INBOX")
    assert set(inbox) == {3, *range(6, 31), 40} and inbox[3] == {"\\Seen"}
    assert w.near.bodies()["INBOX", 40] == message(40, SIZE)


def test_offlineimap_with_nested_folders(only):
    w = only("offlineimap", sep="/")
    w.far.make("Work")
    w.far.make("Work/2026")
    w.far.add_many("Work/2026", range(20, 30), size=SIZE)
    w.kept()
    w.near.remove("Work/2026", [20])
    came, said = w.sync()
    assert came < 2 * SIZE and "were known" in said, (came, said)
    assert set(w.everywhere("Work/2026")) == set(range(21, 30))


def test_offlineimap_with_inbox_at_the_top(only):
    """As Maildir++ has it; what it knows of that folder is called "dot"."""
    w = only("offlineimap", extra="  layout maildir++\n",
             more="nametrans = lambda name: '' if name == 'INBOX' else '.' + name.replace('/', '.')")
    w.far.make("Work")
    w.far.add_many("INBOX", range(1, 11), size=SIZE)
    w.far.add_many("Work", range(20, 26), size=SIZE)
    w.kept()
    assert os.path.exists(os.path.join(w.home, ".offlineimap/Account-Main/LocalStatus-sqlite/dot"))
    w.near.remove("", [1])
    w.far.remove("INBOX", [2])
    came, said = w.sync()
    assert came < 2 * SIZE and "were known" in said, (came, said)
    assert set(w.everywhere("INBOX", ".")) == set(range(3, 11))
    assert set(w.near.files(".Work")) == set(range(20, 26))


def test_a_file_that_came_from_another_folder_keeps_no_uid(only):
    """offlineimap marks names with the folder: a UID of another folder means nothing, and does not make the rest unbelievable."""
    w = only("offlineimap")
    w.far.make("Work")
    w.far.add_many("INBOX", range(1, 8))
    w.far.add_many("Work", range(20, 26))
    w.kept()
    path = w.near.files("Work")[21]
    os.rename(path, os.path.join(w.client.maildir, "INBOX", "cur", os.path.basename(path) + ("" if ":2," in path else ":2,")))
    w.near.remove("INBOX", [2])  # whose UID that file has
    w.sync()
    assert set(w.everywhere("INBOX")) == {1, *range(3, 8), 21} and set(w.everywhere("Work")) == {20, *range(22, 26)}


def test_status_of_offlineimap_is_only_read(only):
    w = only("offlineimap")
    w.far.add_many("INBOX", range(1, 4))
    w.kept()
    path = os.path.join(w.home, ".offlineimap/Account-Main/LocalStatus-sqlite/INBOX")
    with open(path, "rb") as f:
        before = f.read()
    w.sync()
    with open(path, "rb") as f:
        assert f.read() == before
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM status").fetchone() == (3,)
    db.close()
    assert os.listdir(os.path.dirname(path)) and not [n for n in os.listdir(os.path.dirname(path)) if n.endswith(("-wal", "-shm", "-journal"))]
