"""POP3 beside IMAP: what each policy makes of a mailbox, told by a model; sessions that end early; the command line."""
import contextlib
import itertools
import json
import os
import poplib
import random
import shlex
import smtplib
import socket
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import server as lib  # noqa: E402
from server import Server, ServerError  # noqa: E402

ALL = "all devices"
DAY_S = 86400
PLACES = {"trash": "Trash", "archive": "Archive", "expunge": None}


def message(name):
    return f"From: a@example.org\r\nSubject: {name}\r\n\r\nbody of {name}\r\n".encode()


def name_of(lines):
    return next(line for line in lines if line.startswith(b"Subject: "))[9:].decode()


def database(server, user):
    ident = json.loads(server.run("user", "show", user.address, "--json"))["id"]
    return os.path.join(server.data, "accounts", ident, "mail.db")


def control(server, line):
    """What the server answers on its control socket."""
    path = os.path.join(server.data, "control.sock")
    until = time.monotonic() + lib.START_S
    while True:  # it listens for mail a moment before; until then the socket is not there, or is that of a server that was killed
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
            break
        assert time.monotonic() < until, "no control socket"
        time.sleep(0.005)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(line.encode() + b"\n")
        answer = b""
        while data := s.recv(65536):
            answer += data
    assert answer.endswith(b"ok\n"), answer
    return answer.decode()


class Model:
    """What each must see."""

    def __init__(self, dele, after, listing):
        self.dele, self.after, self.listing = dele, after, listing
        self.place, self.seen = {}, set()           # where a message lies; read by IMAP
        self.hidden, self.taken = {}, {}            # message -> devices; (message, device) -> days ago
        self.uidl = {}

    def shown(self, device):
        names = []
        for name, place in self.place.items():
            hidden = self.hidden.get(name, set())
            if place != "INBOX" or device in hidden or ALL in hidden:
                continue
            if self.listing == "device" and (name, device) in self.taken:
                continue
            names.append(name)
        return names

    def remove(self, name, device):
        self.hidden.setdefault(name, set()).add(device if self.listing == "device" else ALL)
        if self.dele == "hide" or self.place[name] != "INBOX":
            return
        self.place[name] = PLACES[self.dele]
        if self.place[name] is None:
            del self.place[name]

    def quit(self, device, taken, deleted):
        for name in taken:
            self.taken.setdefault((name, device), 0)
        for name in set(deleted) | (set(taken) if self.after == "quit" else set()):
            self.remove(name, device)

    def login(self, device):
        if self.after.isdigit():
            for (name, who), days in list(self.taken.items()):
                hidden = self.hidden.get(name, set())
                if who == device and days >= int(self.after) and self.place.get(name) == "INBOX" and not {device, ALL} & hidden:
                    self.remove(name, device)


class Game:
    """Turns of two POP3 devices and IMAP on one mailbox."""

    def __init__(self, server, dele, after, listing, seed):
        self.server, self.model, self.random = server, Model(dele, after, listing), random.Random(seed)
        self.user = server.user()
        made = json.loads(server.run("app-password", "add", self.user.address, "laptop", "--json"))
        self.devices = {"main": self.user, "laptop": self.user._replace(password=made["password"])}
        server.run("pop", self.user.address, f"dele={dele}", f"after={after}", f"list={listing}")
        self.count = 0

    def deliver(self):
        for _ in range(self.random.randint(1, 3)):
            self.count += 1
            name = f"m{self.count}"
            self.server.deliver(self.user, message(name))
            self.model.place[name] = "INBOX"

    def some(self, names):
        return [n for n in names if self.random.random() < 0.4]

    def pop(self):
        device = self.random.choice(list(self.devices))
        self.model.login(device)
        c = self.server.pop3(self.devices[device])
        shown = self.model.shown(device)
        names = [name_of(c.top(n, 0)[1]) for n in range(1, c.stat()[0] + 1)]
        assert names == shown, device
        for line in c.uidl()[1]:
            number, uidl = line.decode().split()
            assert self.model.uidl.setdefault(names[int(number) - 1], uidl) == uidl
        taken, deleted = self.some(names), self.some(names)
        for name in taken:
            assert (b"\r\n".join(c.retr(names.index(name) + 1)[1]) + b"\r\n").endswith(message(name))
        for name in deleted:
            c.dele(names.index(name) + 1)
        how = self.random.choice(["quit"] * 4 + ["rset", "lost", "killed"])
        if how == "rset":
            c.rset()
            deleted = []
        if how in ("quit", "rset"):
            c.quit()
            self.model.quit(device, taken, deleted)
            return
        if how == "killed":
            self.server.kill()
        c.close()
        if how == "killed":
            self.server.start()

    def imap(self):
        with contextlib.closing(Imap(self.server, self.user)) as c:
            for place in ("INBOX", "Trash", "Archive"):
                have = c.names(place)
                assert sorted(have) == sorted(n for n, p in self.model.place.items() if p == place), place
            what = self.random.choice(["nothing", "trash", "back", "expunge"])
            if what == "trash":
                for name in self.some(c.names("INBOX")):
                    c.move("INBOX", name, "Trash")
                    self.model.place[name] = "Trash"
            elif what == "back":
                for name in self.some(c.names("Trash")):
                    c.move("Trash", name, "INBOX")
                    self.model.place[name] = "INBOX"
            elif what == "expunge":
                for name in self.some(c.names("INBOX"))[:1]:
                    c.expunge("INBOX", name)
                    del self.model.place[name]

    def day(self):
        if not self.model.after.isdigit():
            return
        self.server.stop()
        path = database(self.server, self.user)
        if os.path.exists(path):
            lib.alter(path, "UPDATE download SET taken=taken-?", DAY_S)
        self.server.start()
        self.model.taken = {key: days + 1 for key, days in self.model.taken.items()}
        if self.random.random() < 0.5:  # the hour has come before the devices do
            control(self.server, "expire")
            for device in self.devices:
                self.model.login(device)

    def play(self, turns):
        for turn in range(turns):
            step = self.random.choice([self.deliver, self.pop, self.pop, self.pop, self.imap, self.day])
            try:
                step()
            except AssertionError as e:
                raise AssertionError(f"turn {turn}, {step.__name__}: {e}") from e
        self.pop()
        self.imap()


class Imap:
    """imaplib with messages by name."""

    def __init__(self, server, user):
        self.c = server.imap(user)

    def close(self):
        self.c.shutdown()

    def uids(self, mailbox):
        if self.c.select(mailbox)[0] != "OK":
            return {}
        answer = self.c.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        return {data.decode().split(":", 1)[1].strip(): uid for uid, data in lib.fetched(answer).items()}

    def names(self, mailbox):
        return list(self.uids(mailbox))

    def move(self, mailbox, name, to):
        assert self.c.uid("MOVE", str(self.uids(mailbox)[name]), to)[0] == "OK"

    def expunge(self, mailbox, name):
        self.c.uid("STORE", str(self.uids(mailbox)[name]), "+FLAGS", r"(\Deleted)")
        self.c.expunge()

    def seen(self, mailbox):
        uids = {uid: name for name, uid in self.uids(mailbox).items()}
        found = self.c.uid("SEARCH", "SEEN")[1][0].split()
        return sorted(uids[int(uid)] for uid in found)


@pytest.fixture
def server():
    with Server() as s:
        yield s


COMBINATIONS = list(itertools.product(["trash", "expunge", "hide", "archive"], ["keep", "quit", "2"], ["shared", "device"]))


@pytest.mark.parametrize(("dele", "after", "listing"), COMBINATIONS)
def test_two_devices_and_imap_take_turns(server, dele, after, listing):
    seed = os.environ.get("BARID_SEED", f"{dele} {after} {listing}")
    game = Game(server, dele, after, listing, seed)
    game.play(int(os.environ.get("BARID_TURNS", "25")))
    assert server.run("fsck", game.user.address, check=False).returncode == 0


# ---- ends of sessions ----


def talk(server, sent, close_after):
    """Sends the first bytes of a session, closes, and gives what was answered."""
    with socket.create_connection(("127.0.0.1", server.port("pop3")), timeout=20) as s:
        got = s.recv(1000)
        s.sendall(sent[:close_after])
        s.shutdown(socket.SHUT_WR)
        while True:
            data = s.recv(65536)
            if not data:
                return got
            got += data


def test_a_session_that_is_cut_anywhere(server):
    """Nothing goes unless QUIT has come whole; then it is gone, and the answer says so."""
    user = server.user()
    server.run("pop", user.address, "dele=expunge", "after=quit")
    session = f"USER {user.address}\r\nPASS {user.password}\r\nSTAT\r\nRETR 1\r\nDELE 2\r\nQUIT\r\n".encode()
    for name in ("one", "two"):
        server.deliver(user, message(name))
    for length in range(len(session)):
        answers = talk(server, session, length)
        assert b"Goodbye" not in answers, length
        with contextlib.closing(server.pop3(user)) as c:
            assert c.stat()[0] == 2, length
    assert talk(server, session, len(session)).endswith(b"+OK Goodbye\r\n")
    with contextlib.closing(server.pop3(user)) as c:
        assert c.stat()[0] == 0


@pytest.mark.parametrize("dele", ["trash", "expunge", "hide", "archive"])
def test_killed_around_the_end(server, dele):
    """Before the answer to QUIT: all there or all gone. After it: gone for good, and nothing else is."""
    user = server.user()
    server.run("pop", user.address, f"dele={dele}")
    for round_ in range(6):
        for n in range(3):
            server.deliver(user, message(f"{round_}-{n}"))
        c = server.pop3(user)
        count = c.stat()[0]
        c.dele(count)
        c.dele(count - 2)
        left = name_of(c.top(count - 1, 0)[1])
        if round_ % 2:
            c.quit()
            server.kill()
        else:
            c._putcmd("QUIT")  # noqa: SLF001  and no waiting
            time.sleep(round_ * 0.0005)
            server.kill()
        c.close()
        server.start()
        with contextlib.closing(server.pop3(user)) as c:
            names = [name_of(c.top(n, 0)[1]) for n in range(1, c.stat()[0] + 1)]
        assert left in names
        gone = [n for n in (f"{round_}-0", f"{round_}-2") if n not in names]
        assert len(gone) in ((2,) if round_ % 2 else (0, 2)), names
        with contextlib.closing(Imap(server, user)) as c:
            everywhere = [n for box in ("INBOX", "Trash", "Archive") for n in c.names(box)]
        assert len(everywhere) == len(set(everywhere))
        assert dele == "expunge" or {f"{round_}-{n}" for n in range(3)} <= set(everywhere)
    assert server.run("fsck", user.address, check=False).returncode == 0


# ---- one setting at a time ----


def shown(server, user):
    with contextlib.closing(server.pop3(user)) as c:
        return [name_of(c.top(n, 0)[1]) for n in range(1, c.stat()[0] + 1)]


def take(server, user, *numbers, dele=()):
    c = server.pop3(user)
    for n in numbers:
        c.retr(n)
    for n in dele:
        c.dele(n)
    c.quit()


def test_what_is_due_goes_although_its_device_never_comes_again(server):
    user = server.user()
    server.run("pop", user.address, "after=3", "dele=trash")
    for n in range(4):
        server.deliver(user, message(f"m{n}"))
    c = server.pop3(user)
    c.retr(1)
    c.retr(2)
    c.quit()
    assert "removed 0" in control(server, "expire")
    server.stop()
    lib.alter(database(server, user), "UPDATE download SET taken=taken-?", 3 * DAY_S)
    server.start()
    c = server.pop3(user)  # logs in, whereby it is done; and another user's is not touched
    assert c.stat()[0] == 2
    assert "removed 0" in control(server, "expire")
    c.retr(1)
    c.quit()
    server.stop()
    lib.alter(database(server, user), "UPDATE download SET taken=taken-?", 3 * DAY_S)
    server.start()
    assert "removed 1" in control(server, "expire")
    with contextlib.closing(Imap(server, user)) as imap:
        assert imap.names("INBOX") == ["m3"]
        assert sorted(imap.names("Trash")) == ["m0", "m1", "m2"]
    server.run("user", "set", user.address, "--pop", "off")
    assert "removed 0" in control(server, "expire")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_what_a_backup_brings_back_has_its_days_again(server, tmp_path, running):
    user, backups = server.user(), str(tmp_path / "backups")
    server.run("pop", user.address, "after=3", "dele=expunge", "list=device")
    server.deliver(user, message("m0"))
    server.deliver(user, message("m1"))
    take(server, user, 1)
    server.stop()
    lib.alter(database(server, user), "UPDATE download SET taken=taken-?", 3 * DAY_S)
    server.run("backup", backups)
    server.start()
    assert "removed 1" in control(server, "expire")
    if not running:
        server.stop()
    server.run("restore", backups, user.address)
    if not running:
        server.start()
    assert "removed 0" in control(server, "expire")
    c = server.pop3(user)
    assert c.stat()[0] == 1  # the device has it, and is shown only the other
    c.quit()
    with contextlib.closing(Imap(server, user)) as imap:
        assert sorted(imap.names("INBOX")) == ["m0", "m1"]
    server.stop()
    lib.alter(database(server, user), "UPDATE download SET taken=taken-?", 3 * DAY_S)
    server.start()
    assert "removed 1" in control(server, "expire")


def test_the_newest_of_a_device_do_not_move_into_the_past(server):
    user = server.user()
    server.run("pop", user.address, "list=device", "newest=2", "dele=hide")
    for n in range(5):
        server.deliver(user, message(f"m{n}"))
    take(server, user, 1, dele=(2,))
    c = server.pop3(user)
    assert c.stat()[0] == 0
    c.quit()
    server.deliver(user, message("m5"))
    c = server.pop3(user)
    assert c.stat()[0] == 1 and name_of(c.retr(1)[1]) == "m5"
    c.quit()


def test_window(server):
    user = server.user(pop=False)
    server.deliver(user, message("old"))
    with pytest.raises(poplib.error_proto, match="SYS/PERM"):
        server.pop3(user)
    time.sleep(0.01)
    server.run("pop", user.address, "on")
    assert shown(server, user) == []
    server.deliver(user, message("new"))
    assert shown(server, user) == ["new"]
    server.run("pop", user.address, "window=all")
    assert shown(server, user) == ["old", "new"]
    server.run("pop", user.address, "window=5")
    c = server.imap(user)
    c.append("INBOX", None, '"01-Jan-2020 10:00:00 +0000"', message("dated"))
    c.logout()
    assert shown(server, user) == ["old", "new"]
    server.run("pop", user.address, "window=now")
    assert shown(server, user) == []
    server.run("pop", user.address, "off")
    with pytest.raises(poplib.error_proto, match="SYS/PERM"):
        server.pop3(user)


def test_mail_for_several_is_dated_like_any_other(server):
    users = [server.user(pop=False) for _ in range(2)]

    def send(name):
        with contextlib.closing(smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test")) as c:
            c.sendmail("a@example.org", [u.address for u in users], message(name))

    for n in range(4):
        send(f"old {n}")
    time.sleep(0.01)
    for user in users:
        server.run("pop", user.address, "on")
        assert shown(server, user) == []
    send("new")
    assert [shown(server, user) for user in users] == [["new"], ["new"]]


def test_a_device_with_settings_from_before_pop_was_on(server):
    user = server.user(pop=False)
    laptop = user._replace(password=json.loads(server.run("app-password", "add", user.address, "laptop", "--json"))["password"])
    server.deliver(user, message("old"))
    server.run("pop", user.address, "--device", "laptop", "after=quit", "dele=expunge")
    time.sleep(0.01)
    server.run("pop", user.address, "on")
    assert shown(server, laptop) == []
    server.deliver(user, message("new"))
    assert shown(server, laptop) == ["new"]


def test_a_device_is_found_however_its_name_is_typed(server):
    user = server.user()
    server.run("app-password", "add", user.address, "caf\u00e9")
    server.run("pop", user.address, "--device", "  cafe\u0301 ", "after=quit")
    assert json.loads(server.run("pop", user.address, "--device", "caf\u00e9", "--json"))["settings"]["after"] == "quit"


def test_archiving_what_lies_in_the_archive(server):
    user = server.user()
    laptop = user._replace(password=json.loads(server.run("app-password", "add", user.address, "laptop", "--json"))["password"])
    server.run("pop", user.address, "folders=all", "list=device", "dele=archive", "after=quit")
    server.deliver(user, message("one"))
    for device in (user, laptop):
        assert shown(server, device) == ["one"]
        take(server, device, 1)
        with contextlib.closing(Imap(server, user)) as c:
            assert c.names("Archive") == ["one"]
    assert shown(server, laptop) == shown(server, user) == []


def test_a_trash_that_only_holds_children(server):
    user = server.user()
    c = server.imap(user)
    c.create("Trash/old")
    assert c.delete("Trash")[0] == "OK"
    c.logout()
    server.deliver(user, message("one"))
    take(server, user, 1, dele=[1])
    assert shown(server, user) == []
    with contextlib.closing(Imap(server, user)) as c:
        assert c.names("Trash") == ["one"]


def test_what_was_removed_stays_so_after_a_restore(server, tmp_path):
    user = server.user()
    server.run("pop", user.address, "dele=hide")
    for name in ("one", "two"):
        server.deliver(user, message(name))
    take(server, user, dele=[1])
    server.run("backup", str(tmp_path / "backup"))
    c = server.imap(user)
    c.select("INBOX")
    c.store("1:*", "+FLAGS", r"(\Deleted)")
    c.expunge()
    c.logout()
    server.run("restore", str(tmp_path / "backup"), user.address)
    with contextlib.closing(Imap(server, user)) as c:
        assert c.names("INBOX") == ["one", "two"]
    assert shown(server, user) == ["two"]


def test_switching_off_ends_sessions(server):
    user = server.user()
    server.deliver(user, message("one"))
    with contextlib.closing(server.pop3(user)) as c:
        c.dele(1)
        server.run("pop", user.address, "off")
        with pytest.raises((poplib.error_proto, OSError)):
            for _ in range(100):
                c.noop()
                time.sleep(0.05)
    with contextlib.closing(Imap(server, user)) as c:
        assert c.names("INBOX") == ["one"]


def test_folders_sent_and_newest(server):
    user = server.user()
    c = server.imap(user)
    c.create('"Work, old"')
    for place in ("INBOX", "Sent", '"Work, old"', "Junk", "Trash", "Drafts", "Archive"):
        assert c.append(place, None, None, message(place.strip('"')))[0] == "OK"
    c.select("INBOX")
    c.copy("1", "Archive")
    c.logout()
    for settings, wanted in (
            (["folders=inbox"], ["INBOX"]),
            (["sent=on"], ["INBOX", "Sent"]),
            (["folders=all"], ["INBOX", "Sent", "Work, old", "Archive"]),
            (["sent=off"], ["INBOX", "Work, old", "Archive"]),
            (["folders=Work\\, old,Junk,Not there,INBOX"], ["INBOX", "Work, old", "Junk"]),
            (["newest=2"], ["Work, old", "Junk"]),
            (["newest=all", "folders=Nothing"], [])):
        server.run("pop", user.address, *settings)
        assert shown(server, user) == wanted, settings
    server.run("pop", user.address, "folders=all", "dele=archive")
    take(server, user, dele=[1, 2, 3])
    assert shown(server, user) == []
    with contextlib.closing(Imap(server, user)) as c:
        assert sorted(c.names("Archive")) == ["Archive", "INBOX", "Work, old"]  # what lay there stays there, hidden


def test_unread_stays_and_marking(server):
    user = server.user()
    for name in ("one", "two"):
        server.deliver(user, message(name))
    server.run("pop", user.address, "read=quit", "after=quit", "unread=stays")
    take(server, user, 1)  # unread when it was judged, read afterwards
    with contextlib.closing(server.pop3(user)) as c:
        c.top(2, 1)
        c.quit()
    with contextlib.closing(Imap(server, user)) as c:
        assert c.seen("INBOX") == ["one"] and c.names("INBOX") == ["one", "two"]
    take(server, user, 1)
    with contextlib.closing(Imap(server, user)) as c:
        assert c.names("INBOX") == ["two"] and c.names("Trash") == ["one"]


def test_top_of_everything_is_a_download(server):
    """As fetchmail does it when it keeps; it marks nothing as read."""
    user = server.user()
    for name in ("one", "two"):
        server.deliver(user, message(name))
    server.run("pop", user.address, "list=device", "read=quit")
    with contextlib.closing(server.pop3(user)) as c:
        c.top(1, 99999999)
        c.top(2, 5000)
        c.quit()
    assert shown(server, user) == ["two"]
    with contextlib.closing(Imap(server, user)) as c:
        assert c.seen("INBOX") == []


def test_one_session_at_a_time(server):
    user, other = server.user(), server.user()
    server.run("pop", user.address, "lock=exclusive")
    server.run("pop", other.address, "lock=exclusive")
    first = server.pop3(user)
    with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
        server.pop3(user)
    server.pop3(other).quit()
    first.quit()
    first = server.pop3(user)
    first.close()  # without QUIT
    for _ in range(100):
        with contextlib.suppress(poplib.error_proto):
            server.pop3(user).quit()
            break
        time.sleep(0.05)
    else:
        pytest.fail("the lock stayed")
    server.run("pop", user.address, "lock=snapshot")
    with contextlib.closing(server.pop3(user)) as a, contextlib.closing(server.pop3(user)) as b:
        a.noop(), b.noop()
        server.run("pop", user.address, "lock=exclusive")
        with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
            server.pop3(user)


def capa(server, user=None):
    with contextlib.closing(server.pop3(user)) as c:
        return c.capa()


def test_capa_tells_the_policy(server):
    user = server.user()
    assert capa(server)["EXPIRE"] == ["0", "USER"]
    assert capa(server)["LOGIN-DELAY"] == ["0"]
    for after, told in (("keep", "NEVER"), ("30", "30"), ("quit", "0")):
        server.run("pop", user.address, f"after={after}")
        assert capa(server, user)["EXPIRE"] == [told]


def test_a_device_of_its_own_kind(server):
    user = server.user()
    made = json.loads(server.run("app-password", "add", user.address, "old laptop", "--json"))
    laptop = user._replace(password=made["password"])
    server.run("pop", user.address, "--device", "old laptop", "list=device", "dele=hide", "after=quit")
    for name in ("one", "two"):
        server.deliver(user, message(name))
    take(server, laptop, 1)
    assert shown(server, laptop) == ["two"]
    assert shown(server, user) == ["one", "two"]
    told = json.loads(server.run("pop", user.address, "--device", "old laptop", "--json"))
    assert told["own"] and told["settings"]["dele"] == "hide"
    assert json.loads(server.run("pop", user.address, "--json"))["settings"]["dele"] == "trash"
    server.run("pop", user.address, "--device", "old laptop", "reset")
    assert not json.loads(server.run("pop", user.address, "--device", "old laptop", "--json"))["own"]
    assert shown(server, laptop) == ["two"]  # what it deleted it is not shown again


def test_the_trash_that_somebody_deleted(server):
    user = server.user()
    server.deliver(user, message("one"))
    c = server.imap(user)
    assert c.delete("Trash")[0] == "OK"
    c.logout()
    take(server, user, dele=[1])
    with contextlib.closing(Imap(server, user)) as c:
        assert c.names("Trash") == ["one"]
        assert rb"\Trash" in b" ".join(c.c.list('""', "Trash")[1])


# ---- the command line ----


def test_what_holds_is_said(server):
    user = server.user(pop=False)
    assert f"barid pop {user.address} on" in server.run("pop", user.address)
    text = server.run("pop", user.address, "on", "after=7", "unread=stays", "newest=20")
    for word in ("is on", "Days until then: 7.", "left out", "the newest messages, at most 20.", "Trash", "after=7 unread=stays"):
        assert word in text, word
    server.env = dict(os.environ, BARID_LANG="ar")
    text = server.run("pop", user.address, "window=1")
    for word in ("عدد الأيام حتى ذلك: 7.", "أكثر من هذا العدد من الأيام: 1.", "ولا يزيد عددها على 20.", "لا يجعل التنزيلُ الرسالةَ مقروءة."):
        assert word in text, word
    assert "ما نُزّل يُعدّ مقروءًا." in server.run("pop", user.address, "read=quit")


@pytest.mark.parametrize(("words", "status", "said"), [
    (["after=never"], 64, "keep | quit | DAYS"),
    (["window=9999"], 64, "more than"),
    (["colour=red"], 64, "no setting"),
    (["sideways"], 64, "no setting"),
    (["reset", "colour=red"], 64, "no setting"),
    (["reset", "after=never"], 64, "keep | quit | DAYS"),
    (["on", "off"], 64, "barid pop"),
    (["--device"], 64, "--device"),
    (["--device", "nobody", "after=quit"], 67, "no app password"),
    (["--device", "nobody", "off"], 64, "whole account"),
    (["--what"], 64, "--what"),
])
def test_bad_words_change_nothing(server, words, status, said):
    user = server.user()
    server.run("pop", user.address, "window=all", "after=30")
    before = server.run("pop", user.address, "--json")
    done = server.run("pop", user.address, *words, check=False)
    assert (done.returncode, said in done.stderr.decode()) == (status, True), done
    assert server.run("pop", user.address, "--json") == before


def test_a_bad_word_does_not_switch_on(server):
    user = server.user(pop=False)
    before = server.run("pop", user.address, "--json")
    assert server.run("pop", user.address, "on", "after=never", check=False).returncode == 64
    assert server.run("pop", user.address, "--json") == before


def test_settings_are_printed_as_they_are_typed(server):
    user = server.user()
    line = server.run("pop", user.address, "folders=Work\\, old,It's $(x)").rstrip("\n").rsplit("\n", 1)[1]
    before = json.loads(server.run("pop", user.address, "--json"))["settings"]
    server.run("pop", user.address, "folders=inbox")
    server.run("pop", user.address, *shlex.split(line))
    assert json.loads(server.run("pop", user.address, "--json"))["settings"] == before
    assert before["folders"] == "Work\\, old,It's $(x)"


def test_unknown_users(server):
    assert server.run("pop", "nobody@barid.test", check=False).returncode == 67
    assert server.run("pop", check=False).returncode == 64
    with pytest.raises(ServerError):
        server.run("pop", "nobody@barid.test", "after=quit")
