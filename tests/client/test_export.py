"""barid export: every message once, whole, with flags, date and folder; cut anywhere and run again, nothing lost and nothing twice; what is there of others stays."""
import json
import mailbox
import os
import re
import signal
import subprocess
import time

import pytest

import client as lib_client
import peers
from capproxy import Proxy
from imapside import Folder, Mail, Mailbox
from server import User, barid_program
from twosides import Client, Far, message, number_of

ARABIC = "العمل"
ARABIC_FAR = "&BicGRAY5BkUGRA-"


class World:
    def __init__(self, home, port, user, name="salma"):
        self.far = Far(port, user)
        self.client = Client(str(home), port, user, name=name)
        self.out = os.path.join(str(home), "out")

    def export(self, *words, code=0, **more):
        done = self.client.run("export", *words, **more)
        assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def rows(self, *words, code=0):
        return {r["folder"]: r for r in map(json.loads, self.export(*words, "--json", code=code).splitlines()) if r}


@pytest.fixture(params=["barid", "dovecot"])
def world(request, server, tmp_path):
    if request.param == "barid":
        yield World(tmp_path, server.port("imap"), server.user())
        return
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        yield World(tmp_path, peer.port, User("salma@barid.test", "unused"))


@pytest.fixture
def barid_world(server, tmp_path):
    return World(tmp_path, server.port("imap"), server.user())


def maildir(path):
    """{number: (flags, date, bytes)}; each once."""
    words = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
    keywords = os.path.join(path, "dovecot-keywords")
    if os.path.exists(keywords):
        with open(keywords, encoding="utf-8") as f:
            words |= {chr(ord("a") + int(i)): name for i, name in (line.split() for line in f)}
    out = {}
    for part in ("new", "cur"):
        for name in os.listdir(os.path.join(path, part)):
            with open(os.path.join(path, part, name), "rb") as f:
                data = f.read()
            number = number_of(data)
            assert number not in out, f"{number} twice"
            flags = frozenset(words[c] for c in name.partition(":2,")[2])
            out[number] = flags, int(os.stat(f.name).st_mtime), data.replace(b"\n", b"\r\n")
    return out


def mbox(path):
    """{number: (status letters, keywords, bytes)}, by Python's reader; each once."""
    out = {}
    box = mailbox.mbox(path, create=False)
    for key in box.keys():
        m = box[key]
        number = int(m["Subject"].split()[1])
        assert number not in out, f"{number} twice"
        out[number] = "".join(sorted(m.get_flags())), m["X-Keywords"], m
    box.close()
    return out


def fill(world):
    far = world.far
    far.make("Work")
    far.make("Work/2026")
    far.make(ARABIC_FAR)
    far.add_many("INBOX", range(1, 8))
    far.add("Work/2026", 20, ["\\Seen", "\\Flagged", "$Work"])
    far.add("Work/2026", 21, ["\\Answered", "\\Draft", "$Forwarded"])
    far.do(lambda c: c.append(f'"{ARABIC_FAR}"', "(\\Seen)", '"01-Feb-2024 10:00:00 +0200"', message(30)))


def test_maildir_with_flags_dates_and_folders(world):
    fill(world)
    rows = world.rows("salma", world.out, "--dry-run")
    assert rows["INBOX"]["messages"] == 7 and not os.path.exists(world.out)
    rows = world.rows("salma", world.out)
    assert rows["INBOX"]["messages"] == 7 and rows["INBOX"]["path"] == ""
    assert rows[ARABIC]["path"] == ARABIC
    assert {n: d for n, (_, _, d) in maildir(world.out).items()} == {n: message(n) for n in range(1, 8)}
    work = maildir(os.path.join(world.out, "Work/2026"))
    assert work[20][0] == {"\\Seen", "\\Flagged", "$Work"} and work[21][0] == {"\\Answered", "\\Draft", "$Forwarded"}
    assert maildir(os.path.join(world.out, ARABIC))[30][:2] == ({"\\Seen"}, 1706774400)
    assert os.path.isdir(os.path.join(world.out, "Work", "cur"))
    # nothing was marked there
    assert not any("\\Seen" in f for f in world.far.table()["INBOX"].values())
    # again: nothing comes, and what is new does
    before = sorted(str(p) for p in os.walk(world.out))
    rows = world.rows("salma", world.out)
    assert sum(r["messages"] for r in rows.values()) == 0 and rows["INBOX"]["there"] == 7
    assert sorted(str(p) for p in os.walk(world.out)) == before
    world.far.add("INBOX", 9)
    assert "came" in world.export("salma", world.out)
    assert set(maildir(world.out)) == {1, 2, 3, 4, 5, 6, 7, 9}


def test_mbox_with_flags_and_dates(world):
    fill(world)
    world.far.do(lambda c: c.append("INBOX", "", None, b"Subject: number 11\r\nStatus: RO\r\nX-IMAP: 1\r\n\r\nFrom here\r\n>From there\r\n"))
    world.export("salma", world.out, "--format", "mbox")
    inbox = mbox(os.path.join(world.out, "INBOX.mbox"))
    assert set(inbox) == {*range(1, 8), 11} and inbox[1][0] == "O"
    assert inbox[11][2]["X-IMAP"] is None and inbox[11][2].get_payload() == ">From here\n>>From there\n"
    work = mbox(os.path.join(world.out, "Work/2026.mbox"))
    assert work[20][:2] == ("FOR", "$Work") and work[21][:2] == ("AOT", "$Forwarded")
    arabic = mbox(os.path.join(world.out, ARABIC + ".mbox"))
    assert arabic[30][2].get_from() == "MAILER-DAEMON Thu Feb  1 08:00:00 2024"
    with open(os.path.join(world.out, "INBOX.mbox"), "rb") as f:
        before = f.read()
    assert "came (" in world.export("salma", world.out, "--format", "mbox")
    world.far.add("INBOX", 12, ["\\Seen"])
    world.export("salma:INBOX", world.out, "--format", "mbox")
    with open(os.path.join(world.out, "INBOX.mbox"), "rb") as f:
        after = f.read()
    assert after.startswith(before) and after.count(b"\nSubject: number ") == 9
    assert not [n for _, _, names in os.walk(world.out) for n in names if n.endswith((".part", ".new"))]


def test_a_second_run_downloads_nothing(barid_world, server, tmp_path):
    barid_world.far.add_many("INBOX", range(1, 40), size=20000)
    with Proxy(server.port("imap")) as proxy:
        w = World(tmp_path / "other", proxy.port, barid_world.far.user)
        w.export("salma", w.out)
        first = proxy.passed
        w.export("salma", w.out)
        assert first > 39 * 19000 and proxy.passed - first < 20000


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_what_was_exported_is_imported(server, barid_world, form):
    """Flags, keywords, dates, folders of any name, bytes: in the mailbox of another user they are what they were."""
    w = barid_world
    names = ["INBOX", "Work/2026", ARABIC_FAR, "100%", ".hidden", "cur", "R&-D", "a.b"]
    dates = {}
    for i, name in enumerate(names):
        if name != "INBOX":
            w.far.make(name)
        flags = ["", "(\\Seen $Label1)", "(\\Flagged \\Draft)", "(\\Answered Work)"][i % 4]
        w.far.do(lambda c: Far._ok(c.append(f'"{name}"', flags, f'"{i + 1:02}-Feb-2024 10:00:00 +0000"', message(100 + i))))  # noqa: B023,SLF001
        dates[100 + i] = i + 1
    w.export("salma", w.out, "--format", form)
    other = server.user()
    if form == "maildir":
        server.run("import", other.address, w.out)
    else:
        for name in names:
            path = {ARABIC_FAR: ARABIC, ".hidden": "%2Ehidden", "cur": "%63ur", "R&-D": "R%26D", "100%": "100%25"}.get(name, name)
            to = {ARABIC_FAR: ARABIC, "R&-D": "R&D"}.get(name, name)
            server.run("import", other.address, os.path.join(w.out, path + ".mbox"), "--mailbox", to)
    there = Far(server.port("imap"), other)
    got, want = there.table(), w.far.table()
    assert {f: m for f, m in got.items() if m} == {f: m for f, m in want.items() if m}
    assert there.bodies() == w.far.bodies()

    def days(c):
        out = {}
        for name in names:
            c.select(f'"{name}"', readonly=True)
            for item in c.fetch("1:*", "(INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(item, tuple):
                    out[number_of(item[1])] = int(re.search(rb'INTERNALDATE "\s*(\d+)-Feb-2024 10:00:00', item[0]).group(1))
        return out
    assert there.do(days) == dates


def test_folders_of_others_are_not_touched(barid_world, tmp_path):
    w = barid_world
    w.far.add("INBOX", 1)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "note").write_text("mine")
    assert "other things" in w.export("salma", str(mine), code=73)
    assert os.listdir(mine) == ["note"]
    # another account's, and the other format
    w.export("salma", w.out)
    assert "other format" in w.export("salma", w.out, "--format", "mbox", code=73)
    # an mbox that another program has changed stays as it is
    out = str(tmp_path / "boxes")
    w.export("salma", out, "--format", "mbox")
    box = os.path.join(out, "INBOX.mbox")
    with open(box, "ab") as f:
        f.write(b"From x Thu Nov 26 10:00:00 2026\nSubject: mine\n\ntext\n\n")
    with open(box, "rb") as f:
        before = f.read()
    w.far.add("INBOX", 2)
    assert "has changed it" in w.export("salma", out, "--format", "mbox", code=73)
    with open(box, "rb") as f:
        assert f.read() == before
    # moved away, all of it comes anew
    os.rename(box, box + ".kept")
    w.export("salma", out, "--format", "mbox")
    assert set(mbox(box)) == {1, 2}
    # a file where no export had made one
    w.far.make("New")
    w.far.add("New", 5)
    with open(os.path.join(out, "New.mbox"), "w", encoding="ascii") as f:
        f.write("not yours")
    assert "file of another program" in w.export("salma", out, "--format", "mbox", code=73)
    with open(os.path.join(out, "New.mbox"), encoding="ascii") as f:
        assert f.read() == "not yours"


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_folders_that_are_named(barid_world, form):
    w = barid_world
    fill(w)
    done = w.export("salma:Work/2026", f"salma:{ARABIC}", w.out, "--format", form, "--dry-run")
    assert "Work/2026: 2 messages would come" in done and "INBOX" not in done and not os.path.exists(w.out)
    w.export("salma:Work/2026", f"salma:{ARABIC}", w.out, "--format", form)
    made = {"maildir": {"Work/2026", ARABIC}, "mbox": {"Work/2026.mbox", ARABIC + ".mbox"}}[form]
    for name in made:
        assert os.path.exists(os.path.join(w.out, name, "cur") if form == "maildir" else os.path.join(w.out, name)), name
    assert not os.path.exists(os.path.join(w.out, "INBOX.mbox"))
    if form == "maildir":
        assert maildir(w.out) == {}
    assert "جاءت رسائل عددها 7" in w.export("salma", w.out, "--format", form, "--lang", "ar")


def test_wrong_words(barid_world):
    w = barid_world
    w.export("salma", code=64)
    w.export("nobody", w.out, code=64)
    w.export("salma", w.out, "--format", "zip", code=64)
    assert "no folder" in w.export("salma:INBOX", "salma:Nothing", w.out, code=66)
    assert not os.path.exists(w.out), "nothing is written for half of what was asked for"
    assert "two accounts" in w.export("salma:INBOX", "nobody:INBOX", w.out, code=64)
    w.export("salma", w.out, "--format", code=64)
    assert "barid export" in w.export("salma", w.out, "--what", code=64)


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_killed_at_any_moment(barid_world, form, tmp_path):
    """Stopped again and again until it gets through: each message once, and whole."""
    w = barid_world
    w.far.make("Work")
    w.far.add_many("INBOX", range(1, 100), size=3000)
    w.far.add_many("Work", range(200, 250), size=60000)
    killed = 0
    for turn in range(60):
        process = subprocess.Popen([barid_program(), "export", "salma", w.out, "--format", form], env=w.client.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.004 * 1.15 ** turn)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    assert killed > 3
    if form == "maildir":
        got = {**{n: d for n, (_, _, d) in maildir(w.out).items()}, **{n: d for n, (_, _, d) in maildir(w.out + "/Work").items()}}
        assert got == {**{n: message(n, 3000) for n in range(1, 100)}, **{n: message(n, 60000) for n in range(200, 250)}}
    else:
        assert set(mbox(w.out + "/INBOX.mbox")) == set(range(1, 100))
        work = mbox(w.out + "/Work.mbox")
        assert {n: m.get_payload() for n, (_, _, m) in work.items()} == {
            n: message(n, 60000).decode().replace("\r\n", "\n").split("\n\n", 1)[1] for n in range(200, 250)}


def test_torn_mbox_is_completed(barid_world):
    """Every state that a kill between the part and the mbox can leave: the part alone, a piece of it in the mbox, all of it."""
    w = barid_world
    w.far.add_many("INBOX", range(1, 4))
    w.export("salma", w.out, "--format", "mbox")
    box, state, part = (os.path.join(w.out, n) for n in ("INBOX.mbox", ".INBOX.mbox.barid", ".INBOX.mbox.part"))
    with open(box, "rb") as f:
        whole = f.read()
    with open(state, encoding="ascii") as f:
        settled = f.read()
    first = whole.index(b"\nFrom MAILER", 10) + 1
    validity = settled.split("\n")[1]
    for have in (first, first + 1, (first + len(whole)) // 2, len(whole)):
        with open(box, "wb") as f:
            f.write(whole[:have])
        with open(part, "wb") as f:
            f.write(whole[first:])
        with open(state, "w", encoding="ascii") as f:
            f.write(f"barid-mbox 1\n{validity}\nbytes {first}\nuids 1\nadding {len(whole) - first} 2:3\n")
        w.export("salma", w.out, "--format", "mbox")
        with open(box, "rb") as f:
            assert f.read() == whole
        with open(state, encoding="ascii") as f:
            assert f.read() == settled
    # something else in the place of the part: it stays
    with open(box, "wb") as f:
        f.write(whole[:first] + b"From another program\n")
    with open(part, "wb") as f:
        f.write(whole[first:])
    with open(state, "w", encoding="ascii") as f:
        f.write(f"barid-mbox 1\n{validity}\nbytes {first}\nuids 1\nadding {len(whole) - first} 2:3\n")
    w.export("salma", w.out, "--format", "mbox", code=73)
    with open(box, "rb") as f:
        assert f.read() == whole[:first] + b"From another program\n"


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_a_large_message_takes_no_memory(home, form, tmp_path):
    if lib_client.asan():
        pytest.skip("a sanitizer keeps memory of its own")
    peer = peers.dovecot("maildir:~/Maildir")
    if peer is None:
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with peer:
        w = World(tmp_path, peer.port, User("salma@barid.test", "unused"))
        home.account("a", imap=f"127.0.0.1 {peer.port} none", maildir=None)
        w.far.add("INBOX", 1)
        small = lib_client.memory_kib(home, "export", "a", w.out + "-small", "--format", form)
        w.far.add("INBOX", 2, size=100_000_000)
        large = lib_client.memory_kib(home, "export", "a", w.out, "--format", form)
    assert small[0] == 0 and large[0] == 0
    assert large[1] - small[1] < 2 << 10, (small, large)
    path = [os.path.join(p, n) for p, _, names in os.walk(w.out) for n in names if os.stat(os.path.join(p, n)).st_size > 9e7]
    assert len(path) == 1


# ---- servers of their own kind ----

def letter(n):
    return b"Subject: number %d\r\n\r\ntext %d\r\n" % (n, n)


def here(out, form):
    """The numbers of the messages of INBOX that are there; each once."""
    numbers = []
    if form == "mbox":
        with open(os.path.join(out, "INBOX.mbox"), "rb") as f:
            return [int(n) for n in re.findall(rb"^Subject: number (\d+)$", f.read(), re.M)]
    for part in ("new", "cur"):
        for name in os.listdir(os.path.join(out, part)):
            with open(os.path.join(out, part, name), "rb") as f:
                numbers.append(number_of(f.read()))
    return sorted(numbers)


@pytest.fixture
def fake(home, tmp_path):
    with Mailbox({"INBOX": [Mail(letter(n)) for n in range(1, 41)]}) as box:
        home.account("a", imap=f"127.0.0.1 {box.port} none", maildir=None)
        box.out = str(tmp_path / "out")
        yield box


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_a_message_that_the_server_cannot_read(home, fake, form):
    """It ends the command there, as servers do: what is behind it comes all the same."""
    bad = {4, 5, 33}

    def lie(box, session, words):
        if b"BODY.PEEK[]" not in words:
            return None
        said, asked = b"", [m.uid for _, m in box.chosen(session, words)]
        for uid in asked:
            if uid in bad:
                return said + b"{tag} NO cannot read it\r\n"
            said += box.answer(session, b"UID FETCH %d (UID FLAGS INTERNALDATE BODY.PEEK[])" % uid)
        return said
    fake.lie = lie
    done = home.barid("export", "a", fake.out, "--format", form)
    assert done.returncode == 75 and "has 3 messages that it did not give" in done.stderr, done
    assert here(fake.out, form) == [n for n in range(1, 41) if n not in bad] or form == "mbox"
    assert sorted(here(fake.out, form)) == [n for n in range(1, 41) if n not in bad]
    fake.lie = None
    assert home.barid("export", "a", fake.out, "--format", form).returncode == 0
    assert sorted(here(fake.out, form)) == list(range(1, 41))


def test_a_server_that_gives_nothing(home, fake):
    for n in range(41, 1000):
        fake.folders["INBOX"].add(Mail(letter(n)))
    fake.lie = lambda box, session, words: b"{tag} NO not today\r\n" if b"BODY.PEEK[]" in words else None
    done = home.barid("export", "a", fake.out)
    assert done.returncode == 75 and "not today" in done.stderr, done
    assert sum("BODY.PEEK[]" in c for c in fake.commands()) <= 101


@pytest.mark.parametrize("form", ["maildir", "mbox"])
@pytest.mark.parametrize("listed", [b"", b"* SEARCH 1 2 3\r\n"])
def test_a_search_that_is_too_short(home, fake, form, listed):
    """Then it is asked in another way; and what that leaves out too is not passed over."""
    def lie(box, session, words):
        if words.startswith(b"UID SEARCH"):
            return listed
        if words.startswith(b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)") and box.short:
            return box.answer(session, words.replace(b"1:*", b"1:30"))
        return None
    fake.lie, fake.short = lie, True
    done = home.barid("export", "a", fake.out, "--format", form)
    assert done.returncode == 75 and "has 10 messages that it did not give" in done.stderr, done
    assert sorted(here(fake.out, form)) == list(range(1, 31))
    assert home.barid("export", "a", fake.out, "--format", form, "--dry-run").returncode == 75
    fake.short = False
    done = home.barid("export", "a", fake.out, "--format", form)
    assert done.returncode == 0 and sorted(here(fake.out, form)) == list(range(1, 41)), done


def test_uidvalidity_that_comes_back(home, fake):
    """Each time all comes anew, and no mbox is lost or in the way."""
    for uidvalidity in (7, 8, 7, 8, 7):
        fake.folders["INBOX"].uidvalidity = uidvalidity
        done = home.barid("export", "a", fake.out, "--format", "mbox")
        assert done.returncode == 0, done
        assert here(fake.out, "mbox") == list(range(1, 41))
    boxes = sorted(n for n in os.listdir(fake.out) if not n.startswith("."))
    assert boxes == ["INBOX.7-2.mbox", "INBOX.7.mbox", "INBOX.8-2.mbox", "INBOX.8.mbox", "INBOX.mbox"]
    assert len({os.path.getsize(os.path.join(fake.out, n)) for n in boxes}) == 1


def test_an_mbox_is_locked_while_it_is_written(home, fake):
    """Also one that this run made: programs that lock keep out."""
    import fcntl
    tried = []

    def lie(box, session, words):
        if b"BODY.PEEK[]" in words:
            with open(os.path.join(box.out, "INBOX.mbox"), "r+b") as f:
                try:
                    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    tried.append("taken")
                except OSError:
                    tried.append("refused")
    fake.lie = lie
    assert home.barid("export", "a", fake.out, "--format", "mbox").returncode == 0
    fake.folders["INBOX"].add(Mail(letter(41)))
    assert home.barid("export", "a", fake.out, "--format", "mbox").returncode == 0
    assert tried == ["refused", "refused"]
    # and another one that has it locked is not written into
    fake.lie = None
    fake.folders["INBOX"].add(Mail(letter(42)))
    with open(os.path.join(fake.out, "INBOX.mbox"), "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        done = home.barid("export", "a", fake.out, "--format", "mbox")
    assert done.returncode == 73 and "another program uses its mbox" in done.stderr, done
    assert home.barid("export", "a", fake.out, "--format", "mbox").returncode == 0
    assert here(fake.out, "mbox") == list(range(1, 43))


def test_names_that_a_server_makes_up(home, tmp_path):
    """Nothing leaves the folder, nothing is followed, and no name turns the terminal."""
    names = ["../../up", "a/../../b", "/etc/x", "..", ".", "cur", "new/tmp", "x\x1b[31m", "&Bic-", "a//b", "y" * 240]
    out = tmp_path / "out"
    with Mailbox({"INBOX": [], **{n: Folder([Mail(letter(at))]) for at, n in enumerate(names, 1)}}) as box:
        home.account("a", imap=f"127.0.0.1 {box.port} none", maildir=None)
        before = sorted(os.listdir(tmp_path))
        for form in ("maildir", "mbox"):
            done = home.barid("export", "a", str(out / form), "--format", form)
            assert "\x1b" not in done.stdout + done.stderr, done
            assert sorted(set(os.listdir(tmp_path)) - {"out"}) == before
        mails = [n for _, _, files in os.walk(out / "maildir") for n in files if n.endswith(".barid") or ":2," in n]
        assert len(mails) == len(names)
        boxes = [n for _, _, files in os.walk(out / "mbox") for n in files if n.endswith(".mbox")]
        assert len(boxes) == len(names) + 1
    # a link that somebody laid in the way is not followed
    trap, aim = tmp_path / "trap", tmp_path / "aim"
    aim.mkdir()
    with Mailbox({"INBOX": [], "Work/x": Folder([Mail(letter(1))])}) as box:
        home.account("a", imap=f"127.0.0.1 {box.port} none", maildir=None)
        for form in ("maildir", "mbox"):
            path = trap / form
            assert home.barid("export", "a:INBOX", str(path), "--format", form).returncode == 0
            os.symlink(aim, path / "Work")
            done = home.barid("export", "a", str(path), "--format", form)
            assert done.returncode == 74, (form, done)
        assert os.listdir(aim) == []
