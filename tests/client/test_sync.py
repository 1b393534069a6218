"""barid sync: whatever both sides did, they are equal afterwards, nothing lost, nothing doubled."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest

import peers
from capproxy import Proxy
from client import asan, memory_kib
from peers import PEERS
from server import barid_program
from twosides import Client, Far, Near, difference, equal, message

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "$Label1", "Work"]
# what a server may lack
TIERS = {
    "all": set(),
    "no-qresync": {"QRESYNC"},
    "condstore-without-esearch": {"QRESYNC", "ESEARCH"},
    "plain": {"QRESYNC", "CONDSTORE", "LIST-STATUS", "ESEARCH"},
    "old": {"QRESYNC", "CONDSTORE", "LIST-STATUS", "ESEARCH", "UIDPLUS", "MOVE", "LITERAL+", "SASL-IR", "ENABLE", "ID"},
}


class World:
    """One account with both sides, seen by a client through a proxy or directly. The server is ours or a peer."""

    def __init__(self, server, home, port=None, extra=""):
        self.server = server
        self.user = server.user()
        self.port = server.port if isinstance(server.port, int) else server.port("imap")
        self.far = Far(self.port, self.user, getattr(server, "delimiter", "/"), getattr(server, "prefix", ""))
        self.client = Client(str(home), port or self.port, self.user, extra)
        self.near = Near(self.client.maildir)

    def equal(self):
        return equal(self.far, self.near)


def random_round(rng, world, table, numbers):
    """Changes on both sides, none on the same message except flags; returns what both sides must be."""
    want = {f: dict(m) for f, m in table.items()}
    free = [(f, n) for f, m in table.items() for n in m]
    rng.shuffle(free)
    folders = sorted(table)
    for _ in range(rng.randint(1, 8)):
        side = rng.choice((world.far, world.near))
        kind = rng.choice(("add", "add", "remove", "flags", "flags", "move", "both"))
        if kind == "add" or not free:
            folder, number = rng.choice(folders), next(numbers)
            flags = rng.sample(FLAGS[:5], rng.randint(0, 3))
            side.add(folder, number, flags)
            want[folder][number] = frozenset(flags)
            continue
        folder, number = free.pop()
        before = table[folder][number]
        if kind == "remove":
            side.remove(folder, [number])
            del want[folder][number]
        elif kind == "move":
            to = rng.choice([f for f in folders if f != folder])
            flags = want[folder].pop(number)
            if side is world.near:
                flags = frozenset(f for f in flags if f in FLAGS[:5])  # the letters of one folder mean nothing in another
                side.set_flags(folder, number, flags)
                side.move(folder, number, to, rng.random() < 0.5)
            else:
                side.move(folder, number, to)
            want[to][number] = flags
        else:
            choice = FLAGS if side is world.far else FLAGS[:5]
            kept = before - set(choice)
            flags = frozenset(rng.sample(choice, rng.randint(0, len(choice)))) | kept
            side.set_flags(folder, number, flags)
            want[folder][number] = flags
            if kind == "both":  # the other side sets another flag: both count
                other = world.near if side is world.far else world.far
                extra = rng.choice(FLAGS[:5])
                other.set_flags(folder, number, before ^ {extra})
                mine = flags ^ before
                want[folder][number] = before ^ (mine | {extra})
    return want


@pytest.mark.parametrize("tier", TIERS)
def test_random_changes(server, tmp_path, tier):
    """Both sides change at random for many rounds; the model knows what each must be then. Moves to servers or from servers that cannot tell them from
    a copy and a deletion come to the same."""
    rng = random.Random(f"sync {tier}")
    numbers = iter(range(1, 100000))
    with Proxy(server.port("imap"), without=TIERS[tier]) as proxy:
        world = World(server, tmp_path, proxy.port)
        world.far.add_many("INBOX", [next(numbers) for _ in range(20)])
        world.client.sync()
        table = world.equal()
        for _ in range(12):
            want = random_round(rng, world, table, numbers)
            told = world.client.sync()
            table = world.equal()
            assert table == want, f"is | should be: {difference(table, want)}; {told}"
        world.client.sync()
        assert world.equal() == table
        assert world.far.bodies() == world.near.bodies()


class House:
    """New accounts on a server of one kind: users of ours and of Cyrus, whole servers where a mailbox is all of it."""

    def __init__(self, kind, server):
        self.kind = kind
        self.server = server if kind == "barid" else self._start()

    def _start(self):
        peer = PEERS[self.kind]()
        if not peer:
            pytest.skip(f"{self.kind} is not here (tools/deps check)")
        return peer

    def world(self, home):
        if self.kind != "barid" and not self.kind.startswith("cyrus"):
            self.close()
            self.server = self._start()
        world = World(self.server, home)
        if self.kind != "barid":
            for name in ("Archive", "Work", "Work/2026"):
                world.far.make(name)
        return world

    def close(self):
        if self.kind != "barid":
            self.server.__exit__()


@pytest.fixture(params=PEERS)
def peer_house(request):
    """Servers of others."""
    house = House(request.param, None)
    yield house
    house.close()


@pytest.fixture(params=["barid", *(p for p in PEERS if p != "cyrus-as-it-comes")])
def house(request, server):
    """Ours too; Cyrus once: its names are not what a cut or a kill is about."""
    house = House(request.param, server)
    yield house
    house.close()


def test_peers(peer_house, tmp_path):
    """The same with other servers' ideas of flags, moves, dates and names."""
    rng = random.Random(f"sync {peer_house.kind}{os.environ.get('BARID_SEED', '')}")
    numbers = iter(range(1, 100000))
    world = peer_house.world(tmp_path)
    world.far.add_many("INBOX", [next(numbers) for _ in range(20)])
    world.client.sync()
    table = world.equal()
    for _ in range(12):
        want = random_round(rng, world, table, numbers)
        told = world.client.sync()
        table = world.equal()
        assert table == want, f"is | should be: {difference(table, want)}; {told}"
    told = world.client.sync()
    assert "0 new here, 0 new there" in told and world.equal() == table, told
    assert world.far.bodies() == world.near.bodies()
    world.near.make("Made/below")
    world.near.add("Made/below", next(numbers))
    world.far.rename("Work/2026", "Work/2027")
    world.client.sync()
    table = world.equal()
    assert "Made/below" in table and "Work/2027" in table and "Work/2026" not in table
    os.rename(os.path.join(world.near.root, "Made"), os.path.join(world.near.root, "Kept"))
    told = world.client.sync()
    assert world.equal()["Kept/below"] == table["Made/below"] and "Made/below" not in world.far.table(), told
    assert "0 new here, 0 new there" in told, "a rename is one there too"
    world.client.sync()  # a rename may have been a change of the folder to the server
    shutil.rmtree(os.path.join(world.near.root, "Kept"))
    world.client.sync()
    if peer_house.kind == "courier":  # it does not say whether something came into the folder meanwhile: nothing is deleted
        assert world.equal()["Kept/below"] == table["Made/below"]
    else:
        assert "Kept/below" not in world.equal()


def test_cyrus_keeps_a_folder_with_folders_in_it(tmp_path):
    """It refuses the deletion: the folder that is gone here comes again, and nobody hears of it in every run."""
    house = House("cyrus", None)
    try:
        world = house.world(tmp_path)
        world.far.add("Work", 1)
        world.far.add("Work/2026", 2)
        world.client.sync()
        for part in ("cur", "new", "tmp"):
            shutil.rmtree(os.path.join(world.near.root, "Work", part))
        for _ in range(2):
            world.client.sync()
        table = world.equal()
        assert set(table["Work"]) == {1} and set(table["Work/2026"]) == {2}
    finally:
        house.close()


def test_folder_that_only_holds_folders_there(tmp_path):
    """\\Noselect there and a Maildir here: it is made one there, and its mail goes up."""
    house = House("dovecot-maildir", None)
    try:
        world = house.world(tmp_path)
        world.far.make("Job/2026")
        world.client.sync()
        assert "Job" not in world.far.table()
        world.near.add("Job", 1)
        told = world.client.sync()
        assert set(world.equal()["Job"]) == {1}, told
    finally:
        house.close()


def test_prefix_of_a_server(tmp_path):
    """What was "INBOX/Archive" here before the prefix was known stays so, and what is new is beside it."""
    house = House("courier", None)
    try:
        world = house.world(tmp_path)
        world.far.add("Archive", 1)
        with Proxy(world.port, without={"NAMESPACE"}) as proxy:
            Client(world.client.home, proxy.port, world.user).sync()
        assert set(world.near.folders()) == {"INBOX", "INBOX/Archive", "INBOX/Work", "INBOX/Work/2026"}
        world.far.make("New")
        world.near.make("INBOX/Here")
        world.near.add("INBOX/Here", 2)
        for _ in range(2):
            Client(world.client.home, world.port, world.user).sync()
        assert set(world.near.folders()) >= {"INBOX", "INBOX/Archive", "INBOX/New", "INBOX/Here"}
        assert set(world.far.table()["Here"]) == {2} and set(world.near.table()["INBOX/Archive"]) == {1}
        world.near.make("Archive")
        told = Client(world.client.home, world.port, world.user).sync(code=75)
        assert "Archive" in told, told
    finally:
        house.close()


@pytest.mark.parametrize("listener, security", [("imaps", "tls"), ("imap", "starttls")])
def test_with_tls(server, tmp_path, listener, security):
    world = World(server, tmp_path)
    conf = os.path.join(str(tmp_path), ".config/barid/accounts.conf")
    with open(conf, encoding="utf-8") as f:
        text = f.read().replace(f"imap 127.0.0.1 {server.port('imap')} none", f"imap localhost {server.port(listener)} {security}")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text + f"  ca-file {server.ca}\n")
    world.far.add("INBOX", 1, ["\\Seen"])
    world.near.add("INBOX", 2)
    world.client.sync()
    assert set(world.equal()["INBOX"]) == {1, 2}
    with open(os.path.join(world.client.state, "logins"), encoding="utf-8") as f:
        assert "SCRAM-SHA-256-PLUS" in f.read(), "bound to the channel"


def test_maildir_plus_plus(server, tmp_path):
    """The other layout: INBOX is the root, folders lie beside each other and begin with a dot."""
    world = World(server, tmp_path, extra="  layout maildir++\n")
    root = world.near.root
    world.far.make("Work/a.b")
    world.far.add("INBOX", 1)
    world.far.add("Work/a.b", 2)
    world.client.sync()
    assert len(os.listdir(os.path.join(root, "new"))) == 1
    assert len(os.listdir(os.path.join(root, ".Work.a%2Eb", "new"))) == 1
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, ".Here.below", part))
    with open(os.path.join(root, ".Here.below", "new", "1.x.y"), "wb") as f:
        f.write(message(3).replace(b"\r\n", b"\n"))
    os.unlink(os.path.join(root, "new", os.listdir(os.path.join(root, "new"))[0]))
    world.client.sync()
    there = world.far.table()
    assert set(there["Here/below"]) == {3} and set(there["INBOX"]) == set() and set(there["Work/a.b"]) == {2}


def test_words_for_programs(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add("INBOX", 1)
    told = json.loads(world.client.run("sync", "--json").stdout)
    assert told["account"] == "salma" and told["down"] == 1 and told["failure"] is None and told["dry_run"] is False
    assert world.client.run("sync", "--quiet").stdout == ""
    assert world.client.run("sync", "nobody").returncode == 64
    assert world.client.run("sync", "--fast").returncode == 64


def test_moves_are_moves(server, tmp_path):
    """A move on either side is one on the other: the message is not sent again, and its UID tells of no deletion."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 7), size=50000)
    world.client.sync()
    world.near.move("INBOX", 1, "Archive")
    world.near.move("INBOX", 2, "Archive", keep_name=False)
    world.far.move("INBOX", 3, "Archive")
    with Proxy(server.port("imap")) as proxy:
        through = Client(str(tmp_path), proxy.port, world.user)
        through.sync()
        assert proxy.passed_up < 5000 and proxy.passed < 20000, "a message went over again"
    assert set(world.equal()["Archive"]) == {1, 2, 3}


def test_folders(server, tmp_path):
    """New, renamed and deleted folders go both ways, with Arabic and hard names."""
    world = World(server, tmp_path)
    far, near = world.far, world.near
    world.client.sync()
    far.make("&BiMGRQYrBkQGKQ-")  # Arabic, in modified UTF-7
    far.make("a.b %2F&-c")
    far.make(".hidden")
    far.make("cur")
    near.make("بريد/داخل")
    near.add("بريد/داخل", 1)
    far.add("cur", 2)
    world.client.sync()
    names = set(near.folders())
    assert {"أمثلة", "a.b %252F&c", "%2Ehidden", "%63ur", "بريد", "بريد/داخل"} <= names, names
    assert set(far.table()["cur"]) == {2}
    far.rename("cur", "tmp")
    os.rename(os.path.join(near.root, "بريد/داخل"), os.path.join(near.root, "بريد/خارج"))
    told = world.client.sync()
    assert "0 new here, 0 new there" in told, told
    assert "%74mp" in near.folders() and "%63ur" not in near.folders()
    assert set(near.table()["بريد/خارج"]) == {1}
    far.delete("tmp")
    shutil.rmtree(os.path.join(near.root, "بريد/خارج"))
    world.client.sync()
    assert "%74mp" not in near.folders()
    assert not any("&BiMGRQYrBkQGKQ-/" in f for f in far.table())
    assert len(far.table()) == len(near.table())


def test_brake(server, tmp_path):
    """A run that would remove much of a folder stops there, on either side; the rest goes on; --yes-delete does it."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 61))
    world.far.add_many("Archive", range(100, 130))
    world.client.sync()
    world.near.remove("INBOX", range(1, 31))
    world.far.add("Sent", 500)
    told = world.client.sync(code=20)
    assert "30 messages would be removed on the server" in told and "--yes-delete" in told
    assert len(world.far.table()["INBOX"]) == 60
    assert set(world.near.table()["Sent"]) == {500}
    world.far.remove("Archive", range(100, 130))
    told = world.client.sync(code=20)
    assert "30 messages would be removed here" in told
    assert len(world.near.table()["Archive"]) == 30
    world.client.sync("--yes-delete")
    assert len(world.equal()["INBOX"]) == 30
    assert len(kept_in_undo(world.client)) == 60, "what was removed, here and there, is in the undo store"


def test_brake_over_all_folders(server, tmp_path):
    """Many small folders that lose all they have at once: none is above the brake, all together are."""
    world = World(server, tmp_path)
    names = [f"List{i}" for i in range(6)]
    for i, name in enumerate(names):
        world.far.make(name)
        world.far.add_many(name, range(100 * i, 100 * i + 7))
    world.far.add_many("INBOX", range(1000, 1010))
    world.client.sync()
    for i, name in enumerate(names[:3]):
        world.near.remove(name, range(100 * i, 100 * i + 7))
    for name in names[3:]:
        shutil.rmtree(os.path.join(world.near.root, name))
    world.far.add("INBOX", 2000)
    told = world.client.sync(code=20)
    assert "42 messages of all folders together would be removed on the server" in told, told
    there = world.far.table()
    assert all(len(there[name]) == 7 for name in names)
    assert 2000 in world.near.table()["INBOX"], "the rest goes on"
    would = world.client.sync("--dry-run", code=20)
    assert "42 messages" in would and "0 removed there" in would
    world.client.sync("--yes-delete")
    assert sum(len(m) for m in world.equal().values()) == 11
    assert len(kept_in_undo(world.client)) == 42


def test_deleted_folder_is_in_the_undo_store(server, tmp_path):
    """A folder that is deleted here, and so there: what it held comes back with flags and dates, also what is here in another folder."""
    world = World(server, tmp_path)
    world.far.make("Old")
    world.far.add_many("Old", range(1, 4))
    world.far.add("Old", 4, ["\\Seen", "\\Flagged"])
    world.client.sync()
    bodies = world.far.bodies()
    world.near.move("Old", 1, "INBOX")
    shutil.rmtree(os.path.join(world.near.root, "Old"))
    told = world.client.sync()
    assert "1 moved" in told and "3 removed there" in told, told
    table = world.equal()
    assert "Old" not in table and set(table["INBOX"]) == {1}
    assert len(kept_in_undo(world.client)) == 3
    assert world.client.run("undo").returncode == 0
    world.client.sync()
    assert world.equal()["Old"] == {2: frozenset(), 3: frozenset(), 4: {"\\Seen", "\\Flagged"}}
    assert {k: v for k, v in world.far.bodies().items() if k[0] == "Old"} == {k: v for k, v in bodies.items() if k != ("Old", 1)}


def test_deleted_folder_with_news(server, tmp_path):
    """What came into it meanwhile was never seen here: it is not deleted there, whatever STATUS had said."""
    world = World(server, tmp_path)
    world.far.make("Old")
    world.far.add("Old", 1)
    world.client.sync()
    shutil.rmtree(os.path.join(world.near.root, "Old"))
    came = []

    def late(data):
        if b"* STATUS" in data and not came:
            came.append(world.far.add("Old", 2))
        return data
    with Proxy(server.port("imap"), alter=late) as proxy:
        Client(world.client.home, proxy.port, world.user).sync()
    assert came and set(world.far.table()["Old"]) == {1, 2}
    Client(world.client.home, server.port("imap"), world.user).sync()
    assert set(world.equal()["Old"]) == {1, 2}


def test_undo_of_the_far_side_on_another_file_system(server, tmp_path):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs a second file system")
    state = tempfile.mkdtemp(dir="/dev/shm")
    try:
        world = World(server, tmp_path)
        env = {"XDG_STATE_HOME": state}
        world.far.add("INBOX", 1, ["\\Seen"])
        world.far.add("INBOX", 2)
        world.client.sync(env=env)
        world.near.remove("INBOX", [1])
        world.client.sync(env=env)
        assert set(world.equal()["INBOX"]) == {2}
        done = world.client.run("undo", env=env)
        assert done.returncode == 0 and world.near.table()["INBOX"] == {1: {"\\Seen"}, 2: frozenset()}, done
    finally:
        shutil.rmtree(state)


def test_home_behind_a_link(server, tmp_path):
    """/home may be a link to another place; what is remembered is for its owner alone."""
    world = World(server, tmp_path)
    (tmp_path / "far away").mkdir()
    (tmp_path / "way").symlink_to("far away")
    env = {"XDG_STATE_HOME": str(tmp_path / "way")}
    world.far.add("INBOX", 1)
    world.client.sync(env=env)
    assert set(world.equal()["INBOX"]) == {1}
    state = tmp_path / "far away" / "barid" / "salma" / "sync.db"
    assert state.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 2")
    said = world.client.sync(env=env, code=70)
    assert "newer Barid (format 2; this one knows 1)" in said, said
    with contextlib.closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 1")
    world.client.sync(env=env)


def test_server_that_alters(server, tmp_path):
    """Without UIDPLUS, and with another size and other bytes there than here: each message goes up once, and comes down never."""
    world = World(server, tmp_path)

    def alter(data):
        data = re.sub(rb"RFC822.SIZE (\d+)", lambda m: b"RFC822.SIZE %d" % (int(m.group(1)) + 11), data)
        data = re.sub(rb"\[APPENDUID [^]]*\] ", b"", data)
        return data.replace(b"body of", b"BODY OF")
    with Proxy(server.port("imap"), without=TIERS["old"], alter=alter) as proxy:
        through = Client(world.client.home, proxy.port, world.user)
        world.far.add_many("INBOX", [1, 7])
        through.sync()
        for number in (2, 17, 27, 3):
            world.near.add("INBOX", number)
        assert "4 new there" in through.sync()
        for _ in range(2):
            told = through.sync()
            assert "0 new here, 0 new there" in told, told
        assert set(world.equal()["INBOX"]) == {1, 7, 2, 17, 27, 3}
        world.near.remove("INBOX", [17])
        through.sync()
        assert set(world.equal()["INBOX"]) == {1, 7, 2, 27, 3}, "each is bound to its own"


def test_server_that_alters_and_a_torn_upload(server, tmp_path):
    """The line breaks before anybody has asked which messages they became: the next run knows them by Message-ID, though their size is another."""
    world = World(server, tmp_path)

    def alter(data):
        data = re.sub(rb"RFC822.SIZE (\d+)", lambda m: b"RFC822.SIZE %d" % (int(m.group(1)) + 11), data)
        return re.sub(rb"\[APPENDUID [^]]*\] ", b"", data).replace(b"body of", b"BODY OF")

    def through(**cut):
        return Proxy(server.port("imap"), without=TIERS["old"], alter=alter, **cut)
    numbers = [n for n in range(2, 30) if b"Message-ID" in message(n)][:4]
    with through() as proxy:
        world.far.add("INBOX", 1)
        Client(world.client.home, proxy.port, world.user).sync()
    for number in numbers:
        world.near.add("INBOX", number)
    with through(cut_up_at=b"HEADER.FIELDS") as proxy:
        Client(world.client.home, proxy.port, world.user).sync(code=75)
    assert set(world.far.table()["INBOX"]) == {1, *numbers}
    with through() as proxy:
        client = Client(world.client.home, proxy.port, world.user)
        assert "0 new here, 0 new there" in client.sync()
        client.sync()
    assert set(world.equal()["INBOX"]) == {1, *numbers}
    with world.server.imap(world.user) as c:
        assert c.select("INBOX")[1] == [b"%d" % (1 + len(numbers))]


def test_flags_here_of_what_moved_there(server, tmp_path):
    """In one run, keywords too, whatever letters they have in the two folders."""
    world = World(server, tmp_path)
    world.far.add("INBOX", 1, ["Work", "$Label1"])
    world.far.add("Archive", 2, ["Home"])
    world.client.sync()
    world.near.set_flags("INBOX", 1, ["Work", "\\Seen"])
    world.far.set_flags("INBOX", 1, ["Work", "$Label1", "\\Flagged"])
    world.far.move("INBOX", 1, "Archive")
    world.client.sync()
    table = world.equal()
    assert table["Archive"] == {1: {"Work", "\\Seen", "\\Flagged"}, 2: {"Home"}} and not table["INBOX"]
    world.client.sync()
    assert world.equal() == table


def test_bytes_come_back_as_they_were(server, tmp_path):
    """CR CR LF and a CR alone go here and there again and are the same bytes."""
    world = World(server, tmp_path)
    hard = message(1).replace(b"body of 1\r\n", b"body\r\r\nof\r1\r\r\r\n")
    far_hard = b"x" * 200000 + b"\r\n\r\n" + hard
    for data in (hard, b"Subject: number 3\r\n\r\n" + far_hard):
        world.far.do(lambda c, data=data: c._command and world.far._ok(append_raw(c, "INBOX", data)))  # noqa: SLF001
    world.client.sync()
    before = world.far.bodies()
    world.near.move("INBOX", 1, "Archive")
    name = world.near.files("INBOX")[3]
    os.rename(name, os.path.join(world.near.root, "Archive", "new", "1.copy.here"))
    again = Client(str(tmp_path / "other"), server.port("imap"), world.user)
    shutil.copytree(world.near.root, again.maildir)
    world.far.remove("INBOX", [1, 3])
    again.sync()
    after = world.far.bodies()
    assert {k[1]: v for k, v in after.items()} == {k[1]: v for k, v in before.items()} and len(after) == 2


def append_raw(c, folder, data):
    """imaplib's append makes every CR a CRLF."""
    c.literal = data
    return c._simple_command("APPEND", folder)  # noqa: SLF001


def test_dry_run_makes_nothing(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add("INBOX", 1)
    would = world.client.sync("--dry-run")
    assert "1 would be new here" in would and not os.path.exists(world.near.root)
    world.client.sync()
    for part in ("new", "tmp"):
        shutil.rmtree(os.path.join(world.near.root, "Archive", part))
    world.client.sync("--dry-run")
    assert os.listdir(os.path.join(world.near.root, "Archive")) == ["cur"]
    world.client.sync()
    assert set(os.listdir(os.path.join(world.near.root, "Archive"))) == {"cur", "new", "tmp"}


def kept_in_undo(client):
    return [name for _, _, names in os.walk(os.path.join(client.state, "undo")) for name in names]


def test_undo(server, tmp_path):
    """What a run removed on either side comes back, with its flags, and goes to both sides."""
    world = World(server, tmp_path)
    world.far.make("Work/2026")
    world.far.add_many("INBOX", range(1, 6))
    world.far.add("Work/2026", 10, ["\\Flagged"])
    world.client.sync()
    before = world.equal()
    bodies = world.far.bodies()
    assert "No sync removed anything" in world.client.run("undo").stdout
    world.far.remove("Work/2026", [10])
    world.near.remove("INBOX", [2, 3])
    world.client.sync()
    assert set(world.equal()["INBOX"]) == {1, 4, 5}
    assert "3 messages" in world.client.run("undo", "--list").stdout
    done = world.client.run("undo")
    assert done.returncode == 0 and "Brought back: 3 messages" in done.stdout, done
    told = world.client.sync()
    assert "3 new there" in told
    assert world.equal() == before
    assert world.far.bodies() == bodies
    assert "No sync removed anything" in world.client.run("undo", "--list").stdout


def test_undo_forgets_after_days(server, tmp_path):
    world = World(server, tmp_path)
    old = os.path.join(world.client.state, "undo", str(int(time.time()) - 31 * 86400), "INBOX")
    young = os.path.join(world.client.state, "undo", str(int(time.time()) - 29 * 86400), "INBOX")
    for folder in (old, young):
        os.makedirs(folder)
        with open(os.path.join(folder, "1.x.y:2,"), "w", encoding="ascii") as f:
            f.write("Subject: number 1\n\nx\n")
    world.client.sync()
    assert not os.path.exists(os.path.dirname(old)) and os.path.exists(young)


def test_one_under_the_brake(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 41))
    world.client.sync()
    world.near.remove("INBOX", range(1, 26))  # 25: not more than 25
    world.client.sync()
    assert len(world.equal()["INBOX"]) == 15


def test_missing_disk(server, tmp_path):
    """All folders gone at once here is a disk that is not mounted: nothing is removed there."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 4))
    world.client.sync()
    os.rename(world.near.root, world.near.root + ".away")
    done = world.client.run("sync")
    assert done.returncode != 0 and "nothing was done" in done.stderr
    assert set(world.far.table()["INBOX"]) == {1, 2, 3}
    shutil.rmtree(world.near.root, ignore_errors=True)
    os.rename(world.near.root + ".away", world.near.root)
    world.client.sync()
    assert set(world.equal()["INBOX"]) == {1, 2, 3}


def test_first_run_over_two_full_sides(server, tmp_path):
    """What is on both sides already is not doubled, Message-ID or not; flags of both come together."""
    world = World(server, tmp_path)
    world.far.add("INBOX", 1, ["\\Seen"])
    world.far.add("INBOX", 7)   # no Message-ID
    world.far.add("INBOX", 2)
    world.near.add("INBOX", 1, ["\\Flagged"])
    world.near.add("INBOX", 7, ["\\Seen"])
    world.near.add("INBOX", 3)
    world.client.sync()
    table = world.equal()["INBOX"]
    assert table == {1: {"\\Seen", "\\Flagged"}, 7: {"\\Seen"}, 2: frozenset(), 3: frozenset()}


def test_new_uidvalidity(server, tmp_path):
    """Every UID means something else: known by what they hold, no message is sent again or doubled."""
    world = World(server, tmp_path)
    world.far.make("List")
    world.far.add_many("List", range(1, 9), size=20000)
    world.client.sync()
    world.near.set_flags("List", 1, ["\\Flagged"])
    world.far.delete("List")
    world.far.make("List")
    world.far.add_many("List", range(3, 11), size=20000)
    with Proxy(server.port("imap")) as proxy:
        through = Client(str(tmp_path), proxy.port, world.user)
        through.sync()
        assert proxy.passed < 100000, "what was here came again"
    table = world.equal()["List"]
    assert set(table) == set(range(1, 11)), "what only one side had is on both"


def test_size_limit_and_patterns(server, tmp_path):
    world = World(server, tmp_path, extra="  message-size-max 10000\n  folders * !Junk\n")
    world.far.add("INBOX", 1)
    world.far.add("INBOX", 2, size=30000)
    world.far.add("Junk", 3)
    told = world.client.sync()
    assert "1 messages stay on the server only" in told
    assert set(world.near.table()["INBOX"]) == {1}
    assert "Junk" not in world.near.folders()
    world.client.sync()
    world.far.remove("INBOX", [2])
    world.client.sync()
    assert set(world.near.table()["INBOX"]) == {1}


def test_days(server, tmp_path):
    """Older mail stays there; when the limit goes, it comes."""
    world = World(server, tmp_path, extra="  days 30\n")
    world.far.add("INBOX", 1)
    old = "01-Jan-2020 10:00:00 +0000"
    world.far.do(lambda c: c.append("INBOX", "(\\Seen)", f'"{old}"', message(2)))
    told = world.client.sync()
    assert "1 messages stay on the server only" in told
    assert set(world.near.table()["INBOX"]) == {1}
    world.client.sync()
    all_of_it = Client(str(tmp_path), server.port("imap"), world.user)
    all_of_it.sync()
    assert world.equal()["INBOX"] == {1: frozenset(), 2: {"\\Seen"}}
    assert os.stat(world.near.files("INBOX")[2]).st_mtime == 1577872800, "its date is that of the server"


def test_dry_run_is_exact(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 9))
    world.client.sync()
    world.far.add("INBOX", 20)
    world.near.add("INBOX", 21)
    world.far.set_flags("INBOX", 1, ["\\Seen"])
    world.near.set_flags("INBOX", 2, ["\\Seen"])
    world.far.remove("INBOX", [3])
    world.near.remove("INBOX", [4])
    world.near.move("INBOX", 5, "Archive")
    world.far.move("INBOX", 6, "Archive")
    before = world.far.table(), world.near.table()
    would = world.client.sync("--dry-run")
    assert (world.far.table(), world.near.table()) == before
    did = world.client.sync()
    numbers = [int(w) for w in would.replace(":", " ").replace(",", " ").split() if w.isdigit()]
    assert numbers == [int(w) for w in did.replace(":", " ").replace(",", " ").split() if w.isdigit()]
    assert numbers == [1, 1, 2, 2, 1, 1]
    world.equal()


def test_two_runs_at_once(server, tmp_path):
    """The second hears that another is at work and does nothing; the first goes on."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 40), size=100000)
    first = subprocess.Popen([barid_program(), "sync"], env=world.client.env, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    state = os.path.join(world.client.state, "sync.db-wal")
    while not os.path.exists(state) or os.path.getsize(state) == 0:
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)
    second = world.client.run("sync")
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 75 and "another run" in second.stderr, second.stderr
    said, complained = first.communicate(timeout=60)
    assert first.returncode == 0, complained
    assert b"39 new here" in said
    assert len(world.equal()["INBOX"]) == 39


def prepare_cut(house, home):
    """An account in which every kind of step is due."""
    world = house.world(home)
    world.far.add_many("INBOX", range(1, 12))
    world.client.sync()
    want = world.equal()
    world.far.add("INBOX", 20, ["\\Seen"])
    world.far.add("INBOX", 27)
    world.near.add("INBOX", 30, ["\\Flagged"])
    world.near.add("INBOX", 37)
    world.near.add("Archive", 31)
    world.far.set_flags("INBOX", 1, ["\\Seen"])
    world.near.set_flags("INBOX", 2, ["\\Answered"])
    world.far.remove("INBOX", [3])
    world.near.remove("INBOX", [4])
    world.near.move("INBOX", 5, "Archive")
    world.far.move("INBOX", 6, "Archive")
    world.near.make("Made")
    world.near.add("Made", 40)
    inbox = want["INBOX"]
    inbox |= {20: {"\\Seen"}, 27: frozenset(), 30: {"\\Flagged"}, 37: frozenset(), 1: {"\\Seen"}, 2: {"\\Answered"}}
    for gone in (3, 4, 5, 6):
        del inbox[gone]
    want["Archive"] = {5: frozenset(), 6: frozenset(), 31: frozenset()}
    want["Made"] = {40: frozenset()}
    return world, want


def cut_points(total, count):
    """Each byte would take hours: a spread that ends at the end, other bytes in each place."""
    step = max(1, total // count)
    return [min(total, at + at % 7) for at in range(1, total + step, step)]


@pytest.mark.parametrize("up", [False, True], ids=["answers", "commands"])
def test_cut_anywhere(house, tmp_path, up):
    """The connection ends after any byte of either direction: the next run ends with both sides equal, nothing lost, nothing doubled."""
    world, _ = prepare_cut(house, tmp_path / "whole")
    with Proxy(world.port) as proxy:
        Client(world.client.home, proxy.port, world.user).sync()
        total = proxy.passed_up if up else proxy.passed
    for at in cut_points(total, int(os.environ.get("BARID_CUTS", "12" if house.kind == "barid" else "4"))):
        home = tmp_path / f"cut-{at}"
        world, want = prepare_cut(house, home)
        with Proxy(world.port, **{"cut_up_after" if up else "cut_after": at}) as proxy:
            done = Client(world.client.home, proxy.port, world.user).run("sync")
            assert done.returncode in (0, 69, 75, 76, 77), f"cut at {at}: {done}"
        told = Client(world.client.home, world.port, world.user).sync()
        got = world.equal()
        assert got == want, f"cut at {at}, is | should be: {difference(got, want)}; {told}"
        shutil.rmtree(home)


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_large_message_takes_no_memory(tmp_path, way):
    if asan():
        pytest.skip("a sanitizer keeps memory of its own")
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        world = World(peer, tmp_path)
        side = world.far if way == "down" else world.near
        world.far.add("INBOX", 1)
        world.client.sync()
        code, nothing_new = memory_kib(world.client, "sync")
        assert code == 0
        side.add("INBOX", 2, size=100_000_000)
        code, most = memory_kib(world.client, "sync")
        assert code == 0 and most - nothing_new < 2048, (nothing_new, most)
        assert world.equal()["INBOX"].keys() == {1, 2} and world.far.bodies() == world.near.bodies()


def test_kill_anywhere(house, tmp_path):
    """kill -9 at some moment of a run, many times: the next run ends with both sides equal."""
    rng = random.Random("kill" + os.environ.get("BARID_SEED", ""))
    for turn in range(int(os.environ.get("BARID_KILLS", "15" if house.kind == "barid" else "5"))):
        home = tmp_path / f"kill-{turn}"
        world, want = prepare_cut(house, home)
        running = subprocess.Popen([barid_program(), "sync"], env=world.client.env, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.06)
        running.send_signal(signal.SIGKILL)
        running.wait()
        world.client.sync()
        got = world.equal()
        assert got == want, f"turn {turn}, is | should be: {difference(got, want)}"
        shutil.rmtree(home)


# ---- both sides at once, and what a server may refuse ----

def test_undo_on_another_file_system(server, tmp_path):
    """What is removed here goes to the undo store although no rename leads there, and comes back."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs a second file system")
    state = tempfile.mkdtemp(dir="/dev/shm")
    try:
        world = World(server, tmp_path)
        env = {"XDG_STATE_HOME": state}
        world.far.add_many("INBOX", range(1, 4))
        world.client.sync(env=env)
        with open(world.near.files("INBOX")[1], "rb") as f:
            body = f.read()
        world.far.remove("INBOX", [1])
        world.client.sync(env=env)
        assert set(world.equal()["INBOX"]) == {2, 3}
        kept = [os.path.join(at, n) for at, _, names in os.walk(os.path.join(state, "barid", "salma", "undo")) for n in names]
        assert [open(path, "rb").read() for path in kept] == [body]
        done = world.client.run("undo", env=env)
        assert done.returncode == 0 and set(world.near.table()["INBOX"]) == {1, 2, 3}, done
    finally:
        shutil.rmtree(state)


def test_same_move_on_both_sides(server, tmp_path):
    """A message that both sides moved to the same folder is there once, with or without a Message-ID."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 2, 7])
    world.client.sync()
    for number in (1, 7):
        world.near.move("INBOX", number, "Archive")
        world.far.move("INBOX", number, "Archive")
    world.client.sync()
    assert world.equal() == {**world.equal(), "INBOX": {2: frozenset()}, "Archive": {1: frozenset(), 7: frozenset()}}
    world.client.sync()
    assert set(world.equal()["Archive"]) == {1, 7}


def test_moved_here_and_copied_there(server, tmp_path):
    """Moved here to where the server has a copy already: one copy, and it is gone where it was."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 7])
    world.client.sync()
    for number in (1, 7):
        world.near.move("INBOX", number, "Archive")
        world.far.copy("INBOX", number, "Archive")
    world.client.sync()
    world.client.sync()
    table = world.equal()
    assert set(table["Archive"]) == {1, 7} and not table["INBOX"]


@pytest.mark.parametrize("without", [set(), TIERS["old"]], ids=["all", "old"])
def test_cut_moves_are_no_removals(server, tmp_path, without):
    """A run that was cut after it had announced many moves: the next one does them, and the brake is for removals."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 41))
    world.client.sync()
    for number in range(1, 40):
        world.near.move("INBOX", number, "Archive")
    for word in (b"UID MOVE", b"UID STORE"):
        with Proxy(server.port("imap"), without=without, cut_up_at=word) as proxy:
            Client(world.client.home, proxy.port, world.user).run("sync")
    with Proxy(server.port("imap"), without=without) as proxy:
        Client(world.client.home, proxy.port, world.user).sync()
        Client(world.client.home, proxy.port, world.user).sync()
    table = world.equal()
    assert set(table["Archive"]) == set(range(1, 40)) and set(table["INBOX"]) == {40}


def test_marks_of_others_on_an_old_server(server, tmp_path):
    """Without UIDPLUS an EXPUNGE would take what somebody else marked: a message moved here is not expunged there, and does not come back."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 2, 3])
    world.client.sync()
    world.far.set_flags("INBOX", 3, ["\\Deleted"])
    world.near.move("INBOX", 1, "Archive")
    with Proxy(server.port("imap"), without=TIERS["old"]) as proxy:
        through = Client(world.client.home, proxy.port, world.user)
        for _ in range(3):
            through.sync()
        assert set(world.near.table()["INBOX"]) == {2, 3}
        assert set(world.near.table()["Archive"]) == {1}
        assert world.far.table()["INBOX"][1] == {"\\Deleted"}, "only marked: nothing of others' is expunged"
        world.far.set_flags("INBOX", 3, [])
        through.sync()
    table = world.equal()
    assert set(table["INBOX"]) == {2, 3} and set(table["Archive"]) == {1}


def test_far_folder_gone_before_an_upload(server, tmp_path):
    """A message that never got there is not removed with the folder that is gone there."""
    world = World(server, tmp_path)
    world.far.make("Project")
    world.far.add("Project", 1)
    world.client.sync()
    world.near.add("Project", 2)
    with Proxy(server.port("imap"), cut_up_at=b"APPEND") as proxy:
        assert Client(world.client.home, proxy.port, world.user).run("sync").returncode != 0
    world.far.delete("Project")
    client = Client(world.client.home, server.port("imap"), world.user)
    client.sync()
    client.sync()
    assert 2 in world.equal()["Project"]


def test_folder_with_what_never_came(server, tmp_path):
    """A folder that is deleted here is not deleted there while it holds a message that was too large to come."""
    world = World(server, tmp_path, extra="  message-size-max 10000\n")
    world.far.make("Scans")
    world.far.add("Scans", 1)
    world.far.add("Scans", 2, size=30000)
    world.client.sync()
    shutil.rmtree(os.path.join(world.near.root, "Scans"))
    world.client.sync()
    assert 2 in world.far.table()["Scans"]


def test_folder_that_is_another_ones(server, tmp_path):
    """"Inbox" here is no second INBOX."""
    world = World(server, tmp_path)
    world.far.add("INBOX", 1)
    world.client.sync()
    world.near.make("Inbox")
    world.near.add("Inbox", 2)
    told = world.client.sync(code=75)
    assert "Inbox" in told
    assert set(world.far.table()["INBOX"]) == {1}
    assert set(world.near.table()["Inbox"]) == {2} and set(world.near.table()["INBOX"]) == {1}


@pytest.mark.parametrize("tier", ["all", "plain"])
def test_rename_with_folders_below(server, tmp_path, tier):
    """A folder is renamed with those in it, on either side: nothing is sent again, nothing of the old name is left."""
    world = World(server, tmp_path)
    for name in ("Work", "Work/2025", "Work/2025/May", "Play", "Play/Chess"):
        world.far.make(name)
    for number, name in enumerate(("Work", "Work/2025", "Work/2025/May", "Play", "Play/Chess"), 1):
        world.far.add(name, number, size=20000)
    with Proxy(server.port("imap"), without=TIERS[tier]) as proxy:
        through = Client(world.client.home, proxy.port, world.user)
        through.sync()
        through.sync()
        os.rename(os.path.join(world.near.root, "Work"), os.path.join(world.near.root, "Job"))
        through.sync()
        names = set(world.equal())
        assert {"Job", "Job/2025", "Job/2025/May"} <= names and not any(n.startswith("Work") for n in names), names
        world.far.rename("Play", "Games")
        through.sync()
        names = set(world.equal())
        assert {"Games", "Games/Chess"} <= names and not any(n.startswith("Play") for n in names), names
        assert proxy.passed_up < 20000, "messages went up again"


def test_keywords_of_a_folder_that_comes_again(server, tmp_path):
    """Its letters are named on disk as well."""
    world = World(server, tmp_path)
    world.far.make("List")
    world.far.add("List", 1, ["Work"])
    world.client.sync()
    world.far.add("List", 2, ["Work", "$Label1"])
    shutil.rmtree(os.path.join(world.near.root, "List"))
    world.client.sync()
    assert world.equal()["List"] == {1: {"Work"}, 2: {"Work", "$Label1"}}
    os.unlink(os.path.join(world.near.root, "List", "dovecot-keywords"))
    world.client.sync()
    world.far.set_flags("List", 1, ["Work", "\\Seen"])
    world.client.sync()
    assert world.equal()["List"] == {1: {"Work", "\\Seen"}, 2: {"Work", "$Label1"}}


def test_dry_run_leaves_tmp_alone(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add("INBOX", 1)
    world.client.sync()
    old = os.path.join(world.near.root, "INBOX", "tmp", "1.old.here")
    with open(old, "w", encoding="ascii") as f:
        f.write("half")
    done = subprocess.run(["faketime", "+3 days", barid_program(), "sync", "--dry-run"], check=False,
                          env=world.client.env | {"ASAN_OPTIONS": "verify_asan_link_order=0"},
                          capture_output=True, text=True) if shutil.which("faketime") else None
    if not done:
        pytest.skip("faketime is not installed (tools/deps check)")
    assert done.returncode == 0, done
    assert os.path.exists(old)


def test_cut_while_a_mirror_grows(server, tmp_path):
    """The limit is higher now, and the run that would bring what was left there is cut: the next one brings it."""
    world = World(server, tmp_path, extra="  message-size-max 10000\n")
    world.far.add("INBOX", 1)
    world.far.add("INBOX", 2, size=30000)
    world.client.sync()
    world.client.sync()
    assert set(world.near.table()["INBOX"]) == {1}
    with Proxy(server.port("imap"), cut_up_at=b"BODY.PEEK[])") as proxy:
        assert Client(world.client.home, proxy.port, world.user).run("sync").returncode != 0
    Client(world.client.home, server.port("imap"), world.user).sync()
    assert set(world.equal()["INBOX"]) == {1, 2}
