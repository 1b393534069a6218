"""COMPRESS (RFC 4978): less goes over, all of it arrives, and a server that lies in it harms nothing."""
import json
import os
import random
import subprocess
import time
import zlib

import pytest

import client as lib_client
import peers
import server as lib
from capproxy import Proxy
from deflating import Deflating
from twosides import Client, Far, Near, difference, equal


def world(tmp_path, server, port, compress="yes", name="home"):
    user = server.user()
    client = Client(str(tmp_path / name), port, user, extra=f"  compress {compress}\n" if compress else "")
    return client, Far(server.port("imap"), user), Near(client.maildir)


def fill(far, near):
    far.add_many("INBOX", range(1, 40), size=5000)
    near.add("INBOX", 100, ["\\Seen"], size=70000)
    near.add("Archive", 101)


def both_equal(far, near):
    table = equal(far, near)
    assert far.bodies() == near.bodies()
    return table


def test_sync_both_ways(tmp_path, barid):
    with Deflating(barid.port("imap")) as proxy:
        client, far, near = world(tmp_path, barid, proxy.port)
        fill(far, near)
        client.sync()
        assert set(both_equal(far, near)["INBOX"]) == {*range(1, 40), 100}
        assert proxy.asked == 1 and proxy.packed < proxy.plain / 2
        heard = proxy.heard.partition(b"COMPRESS DEFLATE\r\n")[2]
        assert heard and b"FETCH" not in heard and b"APPEND" not in heard, "nothing goes up in the clear"
        client.sync()
        assert proxy.asked == 1, "nothing is to come: nothing is asked"


@pytest.mark.parametrize("compress, offered", [("no", True), ("auto", True), (None, True), ("yes", False)])
def test_not_where_it_does_not_pay(tmp_path, barid, compress, offered):
    """auto: a server on this machine is no far one."""
    with Deflating(barid.port("imap"), offered=offered) as proxy:
        client, far, near = world(tmp_path, barid, proxy.port, compress)
        fill(far, near)
        client.sync()
        both_equal(far, near)
        assert proxy.asked == 0


@pytest.mark.parametrize("answer", [b"{tag} NO [COMPRESSIONACTIVE] by TLS\r\n", b"{tag} BAD what?\r\n"])
def test_refused(tmp_path, barid, answer):
    with Deflating(barid.port("imap"), answer=answer) as proxy:
        client, far, near = world(tmp_path, barid, proxy.port)
        fill(far, near)
        client.sync()
        both_equal(far, near)
        assert proxy.asked == 1


def test_of_dovecot(tmp_path):
    """Its own zlib, not ours of the test: sync, watch with IDLE, fetch."""
    peer = peers.dovecot("maildir:~/Maildir", mail_plugins="imap_zlib")
    if not peer:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        user = lib.User("salma@x.test", "x")
        far, heard = Far(peer.port, user), []
        far.add_many("INBOX", range(1, 40), size=5000)
        with Proxy(peer.port, alter=lambda data: heard.append(data) or data) as proxy:
            client = Client(str(tmp_path), proxy.port, user, extra="  compress yes\n")
            near = Near(client.maildir)
            near.add("INBOX", 100, size=70000)
            client.sync()
            both_equal(far, near)
            assert b"BODY[]" not in b"".join(heard) and sum(map(len, heard)) < 39 * 5000 / 2
            far.add_many("INBOX", range(200, 240))
            process = subprocess.Popen([lib.barid_program(), "watch", "--every", "1500"], env=client.env, stdout=subprocess.DEVNULL)
            try:
                for numbers in ([239], [300], [301]):  # the last two in IDLE and NOTIFY, compressed
                    end = time.monotonic() + 60
                    if numbers != [239]:
                        far.add_many("INBOX", numbers)
                    while not set(numbers) <= set(near.files("INBOX")):
                        assert process.poll() is None and time.monotonic() < end, numbers
                        time.sleep(0.05)
            finally:
                process.kill()
                process.wait()


@pytest.mark.parametrize("up", [False, True])
def test_cut_anywhere(tmp_path, barid, up):
    """The connection ends after any byte of the compressed session: the next run ends with both sides equal."""
    def session(name, **cut):
        with Deflating(barid.port("imap")) as deflating, Proxy(deflating.port, **cut) as proxy:
            client, far, near = world(tmp_path, barid, proxy.port, name=name)
            fill(far, near)
            done = client.run("sync")
            return done, client, far, near, proxy.passed_up if up else proxy.passed
    *_, total = session("whole")
    rng = random.Random("compress")
    points = sorted(rng.sample(range(total), int(os.environ.get("BARID_CUTS", "6"))))
    for at in points:
        done, client, far, near, _ = session(f"cut-{at}", **{"cut_up_after" if up else "cut_after": at})
        assert done.returncode in (0, 69, 75, 76, 77), (at, done)
        again = Client(client.home, barid.port("imap"), lib.User(far.user.address, far.user.password))
        again.sync()
        table = both_equal(far, near)
        want = {"INBOX": {*range(1, 40), 100}, "Archive": {101}}
        assert {name: set(table[name]) for name in want} == want, (at, difference(table, table))


LIES = {
    "not compressed": lambda data: data,
    "garbage": lambda data: b"\x07\xff" * 100,
    "the end of the stream": lambda data: zlib.compress(data, 1)[2:-4],
    "a zlib header": zlib.compress,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_broken_stream(tmp_path, barid, lie):
    with Deflating(barid.port("imap"), pack=LIES[lie]) as proxy:
        client, far, near = world(tmp_path, barid, proxy.port)
        fill(far, near)
        done = client.run("sync")
        assert done.returncode in (75, 76), done
        assert "AddressSanitizer" not in done.stderr and "runtime error" not in done.stderr
    again = Client(client.home, barid.port("imap"), lib.User(far.user.address, far.user.password))
    again.sync()
    both_equal(far, near)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"* 1 FETCH (UID 1 FLAGS ())\r\n" * 40], ids=["a line without end", "answers without end"])
def test_a_bomb(tmp_path, barid, piece):
    """A thousand times what is on the wire comes out of it: what is kept of it has the limits that plain answers have."""
    pack = zlib.compressobj(6, zlib.DEFLATED, -15)
    bomb = b"".join(pack.compress(piece * 1000) for _ in range(100)) + pack.flush(zlib.Z_SYNC_FLUSH)
    with Deflating(barid.port("imap"), pack=lambda data: bomb) as proxy:
        client, far, near = world(tmp_path, barid, proxy.port)
        fill(far, near)
        code, peak = lib_client.memory_kib(client, "sync")
        assert code in (75, 76) and peak < 48 << 10, (code, peak)


def test_fetch_copy_export(tmp_path, barid):
    """Everything else that moves much mail."""
    source, target = barid.user(), barid.user()
    far = Far(barid.port("imap"), source)
    far.add_many("INBOX", range(1, 30), size=4000)
    with Deflating(barid.port("imap")) as a, Deflating(barid.port("imap")) as b, lib_client.Home() as home:
        other = home.file("other", target.password + "\n")
        home.file("secret", source.password + "\n")
        home.account("old", f"account new\n  address {target.address}\n  imap 127.0.0.1 {b.port} none\n"
                     f"  password-file {other}\n  compress yes\n",
                     address=source.address, imap=f"127.0.0.1 {a.port} none", compress="yes", receive="imap")
        done = home.barid("copy", "old", "new", "--json")
        assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["copied"] == 29, done
        assert (a.asked, b.asked) == (1, 1)
        assert Far(barid.port("imap"), target).bodies() == far.bodies()
        assert home.barid("export", "old", str(tmp_path / "out")).returncode == 0 and a.asked == 2
        assert home.barid("fetch", "old").returncode == 0 and a.asked == 3
        assert len(home.mail()) == 29
        assert a.packed < a.plain / 2
