"""barid sync, stopped at each of its steps, refused each by the disk, and cut off after each byte: what tests/client/test_sync_faults.py takes a
share of and tests/check-client-faults all.

    with Prepared("everything", "all", shim) as prepared:
        for case in prepared.cases(): prepared.run(case, shim)       # AssertionError: it went wrong

Both sides are folders (the far one is Dovecot's, without login), made once for each scenario and copied for each case. Whatever happened to the run:
the next one ends with both sides equal, nothing lost, nothing doubled, and what was removed in the undo store.
"""
import errno
import os
import random
import shutil
import tempfile

import client as lib
from capproxy import Proxy
from peers import dovecot, give
from server import User
from twosides import Client, Far, Near, difference, equal, number_of

USER = User("salma@barid.test", "unused")
MOVED = (60, 61)
# what a server may lack; without the first two nobody knows whether a folder changed
NO_STATUS = {"QRESYNC", "CONDSTORE", "LIST-STATUS"}
TIERS = {
    "all": set(),
    "no-qresync": {"QRESYNC"},
    "no-move": {"MOVE"},
    "plain": NO_STATUS | {"ESEARCH"},
    "old": NO_STATUS | {"ESEARCH", "UIDPLUS", "MOVE", "LITERAL+", "SASL-IR", "ENABLE", "ID"},
}
CALLS = ("write", "send", "sync", "open", "rename", "link", "unlink", "truncate", "mkdir")
DEATHS = {"write": (lib.KILL, lib.KILL_AFTER, lib.KILL_HALF), "send": (lib.KILL, lib.KILL_AFTER, lib.KILL_HALF)}
ERRORS = {"write": (errno.ENOSPC, errno.EIO), "sync": (errno.EIO,), "open": (errno.EMFILE,), "rename": (errno.EIO, errno.ENOSPC),
          "mkdir": (errno.ENOSPC,), "unlink": (errno.EIO,)}
# what a run says that was cut: nothing (it was over), no server, later, nonsense, not logged in
AFTER_A_CUT = (0, 69, 75, 76, 77)


class Sides:
    """A copy of both sides, and what reaches them. `folder` is also what lib.Shim asks of a home."""

    def __init__(self, original=None, tier="all"):
        self.folder = tempfile.mkdtemp(prefix="barid-sides-")
        self.tier = tier
        self.peer = dovecot("maildir:~/Maildir")
        if original:
            shutil.rmtree(self.peer.folder + "/Maildir", ignore_errors=True)
            shutil.copytree(original.peer.folder + "/Maildir", self.peer.folder + "/Maildir", symlinks=True)
            shutil.copytree(original.folder, self.folder, dirs_exist_ok=True)
            give(self.peer.folder)
        self.far = Far(self.peer.port, USER)
        self.client = Client(self.folder, self.peer.port, USER)
        self.near = Near(self.client.maildir)

    def sync(self, env=None, **cut):
        """One run through a proxy that takes away what the tier lacks and cuts where it is told; (how it ended, bytes down, bytes up)."""
        with Proxy(self.peer.port, without=TIERS[self.tier], **cut) as proxy:
            done = Client(self.folder, proxy.port, USER).run("sync", env=env)
            self.peer.settle()  # what the server was told before the line broke, it does
            return done, proxy.passed, proxy.passed_up

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- scenarios: each brings two equal sides apart, and says what both must be, what is in the undo store, and what may be ----

def flags_of(base, near, far):
    return base ^ ((base ^ near) | (base ^ far))


def messages(sides, rng):
    """Each state of a message on both sides, once: (last, near, far) of flags, None for not there."""
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
    settle(sides)
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


def settle(sides):
    done, _, _ = sides.sync()
    assert done.returncode == 0, done


def copied(sides, moved):
    """Without MOVE, a run that ends between COPY and EXPUNGE leaves two there: the next one keeps the one that goes, because it may be anybody's copy."""
    return moved if "MOVE" in TIERS[sides.tier] else set()


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
    if TIERS[sides.tier] >= NO_STATUS:  # not known to be as it was: it comes again
        want["Gone here"] = {54: frozenset()}
        return want, gone | {53}, {51} | copied(sides, {MOVED[0]})
    return want, gone | {53, 54}, copied(sides, {MOVED[0]})


def new_uidvalidity(sides):
    """Every UID there means something else."""
    sides.far.make("List")
    sides.far.add_many("List", range(1, 8))
    settle(sides)
    sides.near.set_flags("List", 1, ["\\Flagged"])
    sides.far.delete("List")
    sides.far.make("List")
    sides.far.add_many("List", range(3, 9))
    want = {"List": {n: frozenset({"\\Flagged"} if n == 1 else ()) for n in range(1, 9)}, "INBOX": {}}
    return want, set(), set()


def uploads(sides):
    """New here, with and without a Message-ID, two with the same bytes but for the number; the server has one of them already, and news of its own."""
    sides.far.add("INBOX", 1)
    settle(sides)
    for number in (2, 7, 17):
        sides.near.add("INBOX", number, ["\\Seen"])
    sides.far.add("INBOX", 7)
    sides.far.add("INBOX", 3)
    return {"INBOX": {1: frozenset(), 2: frozenset({"\\Seen"}), 3: frozenset(), 7: frozenset({"\\Seen"}), 17: frozenset({"\\Seen"})}}, set(), set()


def renames(sides):
    """A folder with folders in it is renamed here, another one there; flags changed and mail came before that."""
    for number, name in enumerate(("Work", "Work/2025", "Work/2025/May", "Play", "Play/Chess"), 1):
        sides.far.make(name)
        sides.far.add(name, number)
    settle(sides)
    settle(sides)
    sides.near.set_flags("Work/2025", 2, ["\\Flagged"])
    sides.near.add("Work", 20)
    os.rename(os.path.join(sides.near.root, "Work"), os.path.join(sides.near.root, "Job"))
    sides.far.rename("Play", "Games")
    sides.far.set_flags("Games/Chess", 5, ["\\Seen"])
    want = {"INBOX": {}, "Job": {1: frozenset(), 20: frozenset()}, "Job/2025": {2: frozenset({"\\Flagged"})}, "Job/2025/May": {3: frozenset()},
            "Games": {4: frozenset()}, "Games/Chess": {5: frozenset({"\\Seen"})}}
    # where the server does not tell, "Games" is new and "Play" gone
    return want, set(), {4, 5} if TIERS[sides.tier] >= NO_STATUS else set()


def moves(sides):
    """Moved here and there, the same one too, and copied there before it was moved here."""
    sides.far.make("Archive")
    sides.far.add_many("INBOX", range(1, 8))
    settle(sides)
    for number in (1, 2, 7):
        sides.near.move("INBOX", number, "Archive", keep_name=number != 2)
    sides.far.move("INBOX", 3, "Archive")
    sides.far.move("INBOX", 7, "Archive")
    sides.far.copy("INBOX", 2, "Archive")
    sides.near.set_flags("INBOX", 3, ["\\Seen"])
    want = {"INBOX": {n: frozenset() for n in (4, 5, 6)},
            "Archive": {1: frozenset(), 2: frozenset(), 3: frozenset({"\\Seen"}), 7: frozenset()}}
    return want, set(), {2, 7} | copied(sides, {1})  # there twice: what goes where it was is kept first


# which tiers say something new about it
SCENARIOS = {
    "everything": (everything, ("all", "no-qresync", "no-move", "plain", "old")),
    "new-uidvalidity": (new_uidvalidity, ("all", "plain")),
    "uploads": (uploads, ("all", "old")),
    "renames": (renames, ("all", "plain")),
    "moves": (moves, ("all", "no-move", "old")),
}
ALL = [(name, tier) for name, (_, tiers) in SCENARIOS.items() for tier in tiers]


class Prepared:
    """A scenario, tried once without a fault, and how many steps and bytes that took."""

    def __init__(self, name, tier, shim):
        self.name, self.tier = name, tier
        self.sides = Sides(tier=tier)
        self.want, self.gone, self.may = SCENARIOS[name][0](self.sides)
        with Sides(self.sides, tier) as trial:
            done, self.down, self.up = trial.sync(env=shim.arm(trial))
            self.counts = shim.counts()
            assert done.returncode == 0, done
            self.right(trial, "not stopped")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sides.__exit__()

    def cases(self, kinds=("stop", "refuse", "cut")):
        out = []
        if "stop" in kinds:
            out += [("stop", call, n, kind) for call in CALLS for n in range(1, self.counts[call] + 1)
                    for kind in DEATHS.get(call, (lib.KILL, lib.KILL_AFTER))]
        if "refuse" in kinds:
            out += [("refuse", call, n, error) for call, errors in ERRORS.items() for n in range(1, self.counts[call] + 1) for error in errors]
        if "cut" in kinds:
            out += [("cut", way, n, 0) for way, total in (("down", self.down), ("up", self.up)) for n in range(1, total + 1)]
        return out

    def run(self, case, shim):
        how, where, n, detail = case
        may = self.may
        with Sides(self.sides, self.tier) as sides:
            if how == "cut":
                done, _, _ = sides.sync(**{"cut_after" if where == "down" else "cut_up_after": n})
                assert done.returncode in AFTER_A_CUT, (case, done)
            elif how == "stop":
                done, _, _ = sides.sync(env=shim.arm(sides, where, detail, n=n))
                assert not shim.hits() or done.returncode < 0, f"{case}: not killed"
            else:
                done, _, _ = sides.sync(env=shim.arm(sides, where, lib.ERRNO, detail, n))
                assert done.returncode >= 0 and (done.returncode == 0 or done.stderr), (case, done)
                # a folder that could not be read, or renamed: what it held is new elsewhere, and later removed from it
                may = may | {"everything": {51, 52, *MOVED}, "moves": {1, 2, 3, 7}, "renames": {1, 2, 3, 4, 5}}.get(self.name, set())
            again, _, _ = sides.sync()
            assert again.returncode == 0, (case, done, again)
            self.right(sides, (case, done.stdout, done.stderr, again.stdout, again.stderr), may, how == "refuse")

    def right(self, sides, case, may=None, refused=False):
        got = equal(sides.far, sides.near)
        if refused and self.name == "moves" and got.get("Archive", {}).get(3) == frozenset():
            got["Archive"][3] = self.want["Archive"][3]  # its flag was in the folder that could not be read, and is in the undo store with it
        assert got == self.want, f"{case}, is | should be: {difference(got, self.want)}"
        kept = set()
        for path, _, names in os.walk(os.path.join(sides.client.state, "undo")):
            for name in names:
                if not name.startswith("."):
                    with open(os.path.join(path, name), "rb") as f:
                        kept.add(number_of(f.read()))
        may = self.may if may is None else may
        assert self.gone <= kept <= self.gone | may, f"{case}: undo has {sorted(kept)}, not {sorted(self.gone)}"


def share(cases, count):
    """Some of them, spread, the last one too."""
    if len(cases) <= count:
        return cases
    return [cases[i * (len(cases) - 1) // (count - 1)] for i in range(count)]
