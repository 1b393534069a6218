"""barid sync, stopped before, in the middle of and after its every call that reaches the disk or the server, and refused each by the disk: the next run
ends with both sides equal, nothing lost, nothing doubled, and what was removed in the undo store.

Both sides are folders (the far one is Dovecot's, without login), made once for each scenario and copied for each case. BARID_SYNC_EVERY=1 takes
every case; otherwise a share of them.
"""
import errno
import os
import random
import shutil
import tempfile

import pytest

import client as lib
from peers import dovecot
from server import User
from twosides import Client, Far, Near, difference, equal, number_of

USER = User("salma@barid.test", "unused")
MOVED = (60, 61)
DEATHS = {"write": (lib.KILL, lib.KILL_AFTER, lib.KILL_HALF), "send": (lib.KILL, lib.KILL_AFTER, lib.KILL_HALF)}
CALLS = ("write", "send", "sync", "open", "rename", "link", "unlink", "truncate", "mkdir")
ERRORS = {"write": (errno.ENOSPC, errno.EIO), "sync": (errno.EIO,), "open": (errno.EMFILE,), "rename": (errno.EIO, errno.ENOSPC),
          "mkdir": (errno.ENOSPC,), "unlink": (errno.EIO,)}


class Sides:
    """A copy of both sides, and what reaches them."""

    def __init__(self, original=None):
        self.folder = tempfile.mkdtemp(prefix="barid-sides-")
        self.peer = dovecot("maildir:~/Maildir")
        if original:
            shutil.rmtree(self.peer.folder + "/Maildir", ignore_errors=True)
            shutil.copytree(original.peer.folder + "/Maildir", self.peer.folder + "/Maildir", symlinks=True)
            shutil.copytree(original.folder, self.folder, dirs_exist_ok=True)
            own(self.peer.folder)
        self.far = Far(self.peer.port, USER)
        self.client = Client(self.folder, self.peer.port, USER)
        self.near = Near(self.client.maildir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


def own(folder):
    owner = os.stat(folder)
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(path, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def flags_of(base, near, far):
    return base ^ ((base ^ near) | (base ^ far))


def messages(sides, rng):
    """Each state of a message on both sides, once: (last, near, far) of flags, None for not there. Returns what both sides must be, and what goes."""
    states = [frozenset(), frozenset({"\\Seen"}), frozenset({"\\Flagged", "$Forwarded"}), None]
    rows = [(last, near, far) for last in states for near in states for far in states
            if (last is not None or near is None or far is None) and (last, near, far) != (None, None, None)]
    rng.shuffle(rows)
    rows = rows[:9]
    for number, (last, _, _) in enumerate(rows, 1):
        if last is not None:
            sides.far.add("INBOX", number, last)
    for name, number in (("Archive", 50), ("Renamed there", 51), ("Renamed here", 52), ("Gone there", 53), ("Gone here", 54)):
        sides.far.make(name)
        sides.far.add(name, number)
    sides.far.add_many("INBOX", MOVED)
    sides.client.sync()
    inbox, gone = {}, set()
    for number, (last, near, far) in enumerate(rows, 1):
        for side, now in ((sides.near, near), (sides.far, far)):
            if now is not None and last is None:
                side.add("INBOX", number, now)
            elif now is None and last is not None:
                side.remove("INBOX", [number])
            elif now != last:
                side.set_flags("INBOX", number, now)
        if last is None:
            inbox[number] = near if far is None else far
        elif near is not None and far is not None:
            inbox[number] = flags_of(last, near, far)
        elif near is not None or far is not None:
            gone.add(number)
    return inbox, gone


def everything(sides):
    """Messages in each state, a move on each side, and folders that are new, renamed and gone on each."""
    rng = random.Random("states")
    inbox, gone = messages(sides, rng)
    sides.near.move("INBOX", MOVED[0], "Archive")
    sides.far.move("INBOX", MOVED[1], "Archive")
    sides.far.rename("Renamed there", "There now")
    os.rename(os.path.join(sides.near.root, "Renamed here"), os.path.join(sides.near.root, "Here now"))
    sides.far.delete("Gone there")
    shutil.rmtree(os.path.join(sides.near.root, "Gone here"))
    sides.near.make("New here")
    sides.near.add("New here", 70, ["\\Seen"])
    sides.far.make("New there")
    sides.far.add("New there", 71)
    want = {"INBOX": inbox, "Archive": {50: frozenset(), 60: frozenset(), 61: frozenset()}, "There now": {51: frozenset()},
            "Here now": {52: frozenset()}, "New here": {70: frozenset({"\\Seen"})}, "New there": {71: frozenset()}}
    return want, gone | {53, 54}


def new_uidvalidity(sides):
    """Every UID there means something else."""
    sides.far.make("List")
    sides.far.add_many("List", range(1, 8))
    sides.client.sync()
    sides.near.set_flags("List", 1, ["\\Flagged"])
    sides.far.delete("List")
    sides.far.make("List")
    sides.far.add_many("List", range(3, 9))
    want = {"List": {n: frozenset({"\\Flagged"} if n == 1 else ()) for n in range(1, 9)}, "INBOX": {}}
    return want, set()


@pytest.fixture(scope="module", params=[everything, new_uidvalidity])
def scenario(request, shim):
    if not dovecot_is_here():
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with Sides() as sides:
        want, gone = request.param(sides)
        with Sides(sides) as trial:
            done = trial.client.run("sync", env=shim.arm(trial_home(trial)))
            assert done.returncode == 0, done
            assert_right(trial, want, gone, "not stopped")
            counts = shim.counts()
        yield sides, want, gone, counts


def dovecot_is_here():
    return os.access("/usr/lib/dovecot/imap", os.X_OK)


class trial_home:  # what Shim.arm asks of a home
    def __init__(self, sides):
        self.folder = sides.folder


def assert_right(sides, want, gone, case, may=()):
    got = equal(sides.far, sides.near)
    assert got == want, f"{case}, is | should be: {difference(got, want)}"
    kept = set()
    for path, _, names in os.walk(os.path.join(sides.client.state, "undo")):
        for name in names:
            if not name.startswith("."):
                with open(os.path.join(path, name), "rb") as f:
                    kept.add(number_of(f.read()))
    assert gone <= kept <= gone | set(may), f"{case}: undo has {sorted(kept)}, not {sorted(gone)}"


def share(cases, count):
    """Some of them, spread; every one with BARID_SYNC_EVERY=1."""
    if os.environ.get("BARID_SYNC_EVERY") == "1" or len(cases) <= count:
        return cases
    return [cases[i * len(cases) // count] for i in range(count)]


def test_stopped_anywhere(shim, scenario):
    original, want, gone, counts = scenario
    assert counts["sync"] > 5 and counts["rename"] and counts["send"] > 5
    cases = [(call, n, kind) for call in CALLS for n in range(1, counts[call] + 1)
             for kind in DEATHS.get(call, (lib.KILL, lib.KILL_AFTER))]
    for call, n, kind in share(cases, 40):
        with Sides(original) as sides:
            done = sides.client.run("sync", env=shim.arm(trial_home(sides), call, kind, n=n))
            assert not shim.hits() or done.returncode < 0, f"{call} {n} {kind}: not killed"
            again = sides.client.run("sync")
            assert again.returncode == 0, (call, n, kind, again.stderr)
            assert_right(sides, want, gone, (call, n, kind))


def test_refused_anywhere(shim, scenario):
    """An error of the disk is said; the next run does the rest."""
    original, want, gone, counts = scenario
    cases = [(call, n, error) for call, errors in ERRORS.items() for n in range(1, counts[call] + 1) for error in errors]
    for call, n, error in share(cases, 30):
        with Sides(original) as sides:
            done = sides.client.run("sync", env=shim.arm(trial_home(sides), call, lib.ERRNO, error, n))
            assert done.returncode >= 0, (call, n, error, done)
            assert done.returncode == 0 or done.stderr, (call, n, error)
            again = sides.client.run("sync")
            assert again.returncode == 0, (call, n, error, again.stderr)
            # a folder that could not be read: what was moved out of it is new elsewhere, and later removed from it
            assert_right(sides, want, gone, (call, n, error, done.stderr), may=MOVED)
