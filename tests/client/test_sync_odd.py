"""barid sync where a disk, a server or another program does what is seldom done: nothing is removed for it, nothing doubled, and the rest of the mail goes on."""
import json
import os
import re
import shutil
import subprocess

import pytest

from capproxy import Proxy
from imapside import Folder, Mail, Mailbox
from server import User, barid_program
from test_sync import TIERS, World, kept_in_undo
from twosides import Client, Near, message, number_of

# ---- what lies here ----


@pytest.mark.parametrize("kind", ["a link to a folder", "a link to nowhere", "a file", "cur is a link", "without cur"])
def test_a_folder_that_is_no_maildir_now(server, tmp_path, kind):
    """It was not deleted: nothing goes on the server, and nothing anywhere until it is clear again."""
    world = World(server, tmp_path)
    world.far.make("Work")
    world.far.add_many("Work", [1, 2])
    world.far.add_many("INBOX", [3, 4])
    world.client.sync()
    place, elsewhere = os.path.join(world.near.root, "Work"), os.path.join(tmp_path, "elsewhere")
    if kind in ("cur is a link", "without cur"):
        os.rename(os.path.join(place, "cur"), elsewhere)
        if kind == "cur is a link":
            os.symlink(elsewhere, os.path.join(place, "cur"))
    else:
        os.rename(place, elsewhere)
        if kind == "a file":
            with open(place, "wb"):
                pass
        else:
            os.symlink(elsewhere if "folder" in kind else elsewhere + "-not", place)
    world.near.remove("INBOX", [3])
    for words in (["--dry-run"], []):
        told = world.client.sync(*words, code=75)
        assert "Work was left as it is" in told and "0 removed there" in told, told
    there = world.far.table()
    assert set(there["Work"]) == {1, 2} and set(there["INBOX"]) == {3, 4}
    if os.path.islink(place) or os.path.isfile(place):
        os.unlink(place)
        os.rename(elsewhere, place)
    else:
        if kind == "cur is a link":
            os.unlink(os.path.join(place, "cur"))
        os.rename(elsewhere, os.path.join(place, "cur"))
    world.client.sync()
    assert set(world.equal()["INBOX"]) == {4} and set(world.equal()["Work"]) == {1, 2}


def test_a_link_in_the_place_of_a_folder_that_is_new_there(server, tmp_path):
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 2])
    world.client.sync()
    world.far.make("Work")
    world.far.add("Work", 3)
    os.symlink("/nowhere", os.path.join(world.near.root, "Work"))
    world.near.remove("INBOX", [1])
    told = world.client.sync(code=75)
    assert "Work was left as it is: under its name" in told and "1 removed there" in told, told
    os.unlink(os.path.join(world.near.root, "Work"))
    world.client.sync()
    assert set(world.equal()["Work"]) == {3}


@pytest.mark.parametrize("kind", ["a link", "a folder"])
def test_a_message_that_is_no_file_now(server, tmp_path, kind):
    """Another program put a link or a folder in the place of a file: the message is not deleted there for it, and the link never goes up."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 2, 3])
    world.client.sync()
    files = world.near.files("INBOX")
    kept = os.path.join(tmp_path, "kept")
    os.rename(files[1], kept)
    if kind == "a link":
        os.symlink(kept, files[1])
        os.symlink(kept, os.path.join(world.near.root, "INBOX", "cur", "1790000000.link.here:2,S"))
    else:
        os.mkdir(files[1])
        os.mkdir(os.path.join(world.near.root, "INBOX", "cur", "attachments"))
    for words in (["--dry-run"], []):
        assert "0 new there, 0 flag changes, 0 moved, 0 removed here, 0 removed there" in world.client.sync(*words)
    assert set(world.far.table()["INBOX"]) == {1, 2, 3}
    world.far.set_flags("INBOX", 1, ["\\Flagged"])
    world.far.remove("INBOX", [2])
    assert "1 removed here" in world.client.sync()
    world.far.remove("INBOX", [1])
    world.client.sync()
    world.client.sync()
    assert set(world.far.table()["INBOX"]) == {3} and os.path.exists(kept)


def without_rights(client, *words):
    """A run to which the modes of files mean something, also where everything runs as root."""
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    return subprocess.run([*before, barid_program(), *words], env=client.env, capture_output=True, text=True, timeout=120, check=False)


def test_a_file_that_cannot_be_read(server, tmp_path):
    """It is told of each time, by a dry run too, and keeps no other mail away."""
    world = World(server, tmp_path)
    world.client.sync()
    world.near.add("INBOX", 1)
    world.near.add("INBOX", 2)
    path = world.near.files("INBOX")[1]
    os.chmod(path, 0)
    for words, count in ((["--dry-run"], 1), ([], 1), ([], 0)):
        done = without_rights(world.client, "sync", *words)
        assert done.returncode == 75 and os.path.basename(path) in done.stderr and "cannot be read" in done.stderr, done
        assert f"{count} " in done.stdout and re.search(r"(\d+) new there", done.stdout).group(1) == str(count), done
    assert set(world.far.table()["INBOX"]) == {2}
    os.chmod(path, 0o600)
    world.client.sync()
    assert set(world.equal()["INBOX"]) == {1, 2}


def test_a_file_that_gets_a_flag_before_it_goes_up(tmp_path):
    """Another program renames it between the listing and the sending: that is no failure, and the next run sends it."""
    with Mailbox() as box:
        client = Client(str(tmp_path), box.port, User("salma@barid.test", "correct horse 7"))
        near = Near(client.maildir)
        near.add("INBOX", 1)
        near.add("INBOX", 2)

        def lie(_, __, words):
            if b"APPEND" in words and len(near.files("INBOX")) == 2 and not any("S" in p for p in near.files("INBOX").values()):
                for number in (1, 2):
                    near.set_flags("INBOX", number, ["\\Seen"])
        box.lie = lie
        told = client.sync()
        assert "1 new there" in told and "stays here only" not in told, told
        told = client.sync()
        assert "1 new there" in told, told
        assert len(box.folders["INBOX"].mail) == 2


# ---- what a dry run says ----


def figures(client, *words):
    done = client.run("sync", "--json", *words)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    del told["dry_run"]
    return told


@pytest.mark.parametrize("tier", ["all", "plain", "old"])
def test_a_dry_run_says_what_the_run_does(server, tmp_path, tier):
    """Over two full sides that never met, with folders that are on one side only, and limits."""
    world = World(server, tmp_path, extra="  message-size-max 10000\n")
    numbers = [n for n in range(1, 30) if n % 10 != 7]  # those without a Message-ID are told by their bytes, which a dry run does not fetch
    world.far.add_many("INBOX", numbers)
    for number in numbers[:-3]:
        world.near.add("INBOX", number, ["\\Seen"] if number < 5 else [])
    world.far.make("There")
    world.far.add_many("There", [101, 102])
    world.far.add("There", 103, size=20000)
    for number in (201, 202):
        world.near.add("Here", number)
    with Proxy(server.port("imap"), without=TIERS[tier]) as proxy:
        client = Client(str(tmp_path), proxy.port, world.user, "  message-size-max 10000\n")
        would = figures(client, "--dry-run")
        assert would == figures(client)
        assert would["down"] == 3 + 2 and would["up"] == 2 and would["left_there"] == 1 and would["near_folders"] and would["far_folders"], would
        # moves into folders that are new on one side, removals, and a folder that the server no longer has but that got mail here
        world.near.make("Kept")
        world.near.move("INBOX", 1, "Kept")
        world.far.make("Sorted")
        world.far.move("INBOX", 2, "Sorted")
        world.near.remove("INBOX", [3])
        world.far.remove("INBOX", [4])
        world.far.delete("There")
        world.near.add("There", 104)
        would = figures(client, "--dry-run")
        assert would == figures(client)
        assert would["far_moved"] == 1 and would["near_moved"] == 1 and would["near_removed"] == 1 and would["far_removed"] == 1, would
        assert figures(client, "--dry-run") == figures(client)


def test_a_dry_run_counts_what_a_torn_run_announced(server, tmp_path):
    world = World(server, tmp_path)
    world.client.sync()
    for number in (1, 2, 3):
        world.near.add("INBOX", number)
    with Proxy(server.port("imap"), cut_up_at=b"APPEND") as proxy:
        assert Client(world.client.home, proxy.port, world.user).run("sync").returncode != 0
    world.client = Client(world.client.home, server.port("imap"), world.user)
    would = figures(world.client, "--dry-run")
    assert would["up"] == 3 and would == figures(world.client)
    world.equal()


# ---- what a server refuses ----


class Box(Mailbox):
    """A server in this process that is synchronised with. `refuse`: first words of commands that it says NO to. `quoted`: bodies come as quoted strings."""

    caps = "IMAP4rev1 UIDPLUS LITERAL+ MOVE"

    def __init__(self, folders, caps=None):
        self.refuse, self.quoted, self.code = set(), False, ""
        super().__init__({name: [Mail(message(n)) for n in numbers] for name, numbers in folders.items()}, caps)
        self.lie = self.say

    def say(self, _, session, words):
        verb = words.split(b" ")[1 if words.upper().startswith(b"UID ") else 0].decode().upper()
        if any(words.decode("latin-1").startswith(r) for r in self.refuse):
            return b"{tag} NO that is not allowed here\r\n"
        if verb in ("SELECT", "EXAMINE") and self.code:
            return self.answer(session, words) + b"{tag} OK [" + self.code.encode() + b"] selected\r\n"
        if verb == "STORE" and self.code:
            return b"{tag} NO read-only\r\n"
        return None

    def do_namespace(self, session, words):
        return b""

    def do_status(self, session, words):
        return super().do_status(session, words) if self.name(words) in self.folders else b"{tag} NO no such folder\r\n"

    def do_store(self, session, words):
        found = re.search(rb"STORE \S+ ([+-])FLAGS\S* \((.*)\)", words)
        flags = set(found.group(2).decode().split())
        for _, mail in self.chosen(session, words):
            mail.flags = frozenset(mail.flags | flags if found.group(1) == b"+" else mail.flags - flags)
        return b""

    def do_expunge(self, session, words):
        chosen = self.chosen(session, words) if words.startswith(b"UID") else [(0, m) for m in session.selected.mail]
        gone = [mail for _, mail in chosen if "\\Deleted" in mail.flags]
        session.selected.mail = [mail for mail in session.selected.mail if mail not in gone]
        return b""

    def do_move(self, session, words):
        to = self.folders[re.search(rb'"([^"]+)"$', words).group(1).decode()]
        for _, mail in self.chosen(session, words):
            session.selected.mail.remove(mail)
            to.add(mail)
        return b""

    def do_search(self, session, words):
        if b"DELETED" not in words:
            return super().do_search(session, words)
        return b"* SEARCH" + b"".join(b" %d" % m.uid for m in session.selected.mail if "\\Deleted" in m.flags) + b"\r\n"

    def do_fetch(self, session, words):
        said = super().do_fetch(session, words)
        if not self.quoted or b"BODY.PEEK[]" not in words:
            return said
        out = []
        for at, mail in self.chosen(session, words):
            out.append(b'* %d FETCH (UID %d FLAGS () BODY[] "%s")\r\n' % (at, mail.uid, mail.data.replace(b"\r\n", b" ")))
        return b"".join(out)

    def numbers(self, name):
        return {number_of(mail.data) for mail in self.folders[name].mail}

    def flags(self, name):
        return {number_of(mail.data): mail.flags for mail in self.folders[name].mail}


def account(tmp_path, box):
    client = Client(str(tmp_path), box.port, User("salma@barid.test", "correct horse 7"))
    client.sync()
    return client, Near(client.maildir)


def test_a_body_as_a_quoted_string_is_kept(tmp_path):
    """What is removed here is removed there too, when it comes as a string and not as a literal; it is in the undo store."""
    with Box({"INBOX": [1, 2]}) as box:
        client, near = account(tmp_path, box)
        near.remove("INBOX", [1])
        box.quoted = True
        client.sync()
        assert box.numbers("INBOX") == {2}
        assert len(kept_in_undo(client)) == 1


def test_a_body_that_does_not_come_is_told(tmp_path):
    """Nothing is removed there that could not be kept, and that is no secret."""
    with Box({"INBOX": [1, 2]}) as box:
        client, near = account(tmp_path, box)
        near.remove("INBOX", [1])
        box.do_fetch = lambda session, words: b"* 1 FETCH (UID 1 FLAGS () BODY[] NIL)\r\n" if b"BODY.PEEK[]" in words else Mailbox.do_fetch(box, session, words)
        told = client.sync(code=75)
        assert "1 messages that it did not give" in told and "0 removed there" in told, told
        assert box.numbers("INBOX") == {1, 2} and not kept_in_undo(client)


@pytest.mark.parametrize("refused", ["UID STORE", "UID EXPUNGE", "READ-ONLY", "permanent"])
def test_a_removal_that_is_refused(tmp_path, refused):
    """It is told; the rest of the folder goes on; and the undo store does not grow with every run."""
    with Box({"INBOX": range(1, 6)}) as box:
        client, near = account(tmp_path, box)
        near.remove("INBOX", [1])
        if refused == "READ-ONLY":
            box.code = refused
        elif refused == "permanent":
            box.do_select = lambda session, words: Mailbox.do_select(box, session, words).replace(b" \\Deleted", b"")
        else:
            box.refuse = {refused}
        box.folders["INBOX"].mail = [m for m in box.folders["INBOX"].mail if number_of(m.data) != 2]
        box.folders["INBOX"].mail[-1].flags = frozenset({"\\Flagged"})
        near.add("INBOX", 9)
        for turn in range(3):
            told = client.sync(code=75)
            assert "INBOX: 1 messages that were removed here stay on the server" in told and "0 removed there" in told, told
            assert ("1 new there" in told) == (turn == 0) and ("1 removed here" in told) == (turn == 0), told
        assert set(near.files("INBOX")) == {3, 4, 5, 9} and box.numbers("INBOX") == {1, 3, 4, 5, 9}
        assert near.table()["INBOX"][5] == {"\\Flagged"}
        assert len(kept_in_undo(client)) == 1, "only what was removed here"
        if refused in ("READ-ONLY", "permanent"):
            assert not [c for c in box.commands() if "STORE" in c]
        box.refuse, box.code = set(), ""
        box.do_select = lambda session, words: Mailbox.do_select(box, session, words)
        assert "1 removed there" in client.sync()
        assert box.numbers("INBOX") == {3, 4, 5, 9} and len(kept_in_undo(client)) == 2


def test_marks_of_others_fill_no_undo_store(tmp_path):
    """Without UIDPLUS what is removed here is only marked while others have marks there: once, and kept once."""
    with Box({"INBOX": range(1, 6)}, caps="IMAP4rev1 LITERAL+") as box:
        client, near = account(tmp_path, box)
        box.folders["INBOX"].mail[4].flags = frozenset({"\\Deleted"})
        near.remove("INBOX", [1])
        for _ in range(3):
            assert "0 removed there" in client.sync()
        assert box.numbers("INBOX") == set(range(1, 6)) and box.flags("INBOX")[1] == {"\\Deleted"}
        assert len([c for c in box.commands() if "BODY.PEEK[]" in c]) == 2, "all of them came, one was kept"
        box.folders["INBOX"].mail[4].flags = frozenset()
        assert "1 removed there" in client.sync()
        assert box.numbers("INBOX") == set(range(2, 6))


def test_a_move_that_is_refused(tmp_path):
    """Neither folder is left for it: the other changes in both go over. When it is allowed, it is done, and nothing is there twice."""
    with Box({"INBOX": range(1, 6), "Shared": range(11, 15)}) as box:
        client, near = account(tmp_path, box)
        box.refuse = {"UID MOVE"}
        near.move("INBOX", 1, "Shared")
        for turn in range(2):
            near.set_flags("Shared", 12 + turn, ["\\Seen"])
            near.set_flags("INBOX", 3 + turn, ["\\Seen"])
            near.add("Shared", 30 + turn)
            near.remove("Shared", [11 + 3 * turn])
            told = client.sync(code=75)
            assert "Shared: 1 messages that were moved into it here stay where they were" in told, told
            assert "1 new there, 2 flag changes, 0 moved, 0 removed here, 1 removed there" in told, told
        assert box.numbers("INBOX") == set(range(1, 6)) and box.numbers("Shared") == {12, 13, 30, 31}
        assert set(near.files("INBOX")) == {2, 3, 4, 5} and set(near.files("Shared")) == {1, 12, 13, 30, 31}
        box.refuse = set()
        assert "1 moved" in client.sync()
        client.sync()
        assert box.numbers("INBOX") == {2, 3, 4, 5} and box.numbers("Shared") == {1, 12, 13, 30, 31}


def test_a_flag_that_is_refused(tmp_path):
    """It stays here, and is told again; other flags of other messages go over, and what changed there comes."""
    with Box({"INBOX": range(1, 5)}) as box:
        client, near = account(tmp_path, box)
        box.refuse = {"UID STORE 1:1 +FLAGS.SILENT (\\Answered)"}
        near.set_flags("INBOX", 1, ["\\Answered"])
        near.set_flags("INBOX", 2, ["\\Seen"])
        box.folders["INBOX"].mail[0].flags = frozenset({"\\Flagged"})
        box.folders["INBOX"].mail[2].flags = frozenset({"\\Flagged"})
        near.remove("INBOX", [4])
        told = client.sync(code=75)
        assert "the flags of 1 messages stay as they are on the server" in told and "3 flag changes" in told, told
        assert client.run("sync").returncode == 75
        assert box.flags("INBOX") == {1: {"\\Flagged"}, 2: {"\\Seen"}, 3: {"\\Flagged"}}
        want = {1: {"\\Flagged", "\\Answered"}, 2: {"\\Seen"}, 3: {"\\Flagged"}}
        assert near.table()["INBOX"] == want
        box.refuse = set()
        client.sync()
        assert box.flags("INBOX") == want and near.table()["INBOX"] == want


def test_a_folder_whose_removal_is_refused_fills_no_undo_store(server, tmp_path):
    world = World(server, tmp_path)
    world.far.make("Work")
    world.far.add_many("Work", [1, 2, 3])
    world.client.sync()
    shutil.rmtree(os.path.join(world.near.root, "Work"))
    with Proxy(server.port("imap"), alter=lambda data: data.replace(b" OK Deleted", b" NO not this")) as proxy:
        client = Client(str(tmp_path), proxy.port, world.user)
        assert "not this" in client.sync(code=75)
    assert not kept_in_undo(world.client)


def test_flags_that_a_folder_does_not_keep_are_not_stored(server, tmp_path):
    """Also where nothing changed there, so that the folder was not selected before."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", [1, 2])
    world.client.sync()
    world.client.sync()
    world.near.set_flags("INBOX", 1, ["\\Flagged"])

    def alter(data):
        return re.sub(rb"PERMANENTFLAGS \([^)]*\)", b"PERMANENTFLAGS ()", data)
    with Proxy(server.port("imap"), alter=alter) as proxy:
        client = Client(str(tmp_path), proxy.port, world.user)
        assert "0 flag changes" in client.sync()
    assert world.far.table()["INBOX"][1] == frozenset()
    assert world.near.table()["INBOX"][1] == {"\\Flagged"}


def test_keywords_that_no_message_has_take_no_letter(tmp_path):
    """A server that names more than 26 keywords that it would keep leaves letters for those that messages have."""
    with Box({"INBOX": [1, 2]}) as box:
        box.folders["INBOX"].permanent = " ".join(f"old{n}" for n in range(40)) + " \\*"
        box.folders["INBOX"].mail[0].flags = frozenset({"urgent"})
        client, near = account(tmp_path, box)
        assert near.table()["INBOX"][1] == {"urgent"}
        near.set_flags("INBOX", 2, ["urgent"])
        client.sync()
        assert box.flags("INBOX")[2] == {"urgent"}


def test_a_folder_that_keeps_new_keywords_keeps_forwarded(tmp_path):
    with Box({"INBOX": [1, 2]}) as box:
        client, near = account(tmp_path, box)
        near.set_flags("INBOX", 1, ["$Forwarded", "\\Seen"])
        assert "1 flag changes" in client.sync()
        assert box.flags("INBOX")[1] == {"$Forwarded", "\\Seen"}


def test_what_was_refused_is_not_counted(tmp_path):
    with Box({"INBOX": [1]}) as box:
        client, near = account(tmp_path, box)
        box.refuse = {"CREATE"}
        near.add("New", 2)
        done = client.run("sync", "--json")
        assert done.returncode == 75 and json.loads(done.stdout)["far_folders"] == 0, done


# ---- what a server says ----


@pytest.mark.parametrize("tier", ["all", "no-qresync"])
def test_modseq_that_went_back(server, tmp_path, tier):
    """A server that lost its index counts from 1 again: what changed is found all the same, and nothing is removed that is there."""
    def far_ahead(data):
        return re.sub(rb"HIGHESTMODSEQ (\d+)", lambda m: b"HIGHESTMODSEQ %d" % (int(m[1]) + 10**9), data)
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 8))
    with Proxy(server.port("imap"), without=TIERS[tier], alter=far_ahead) as proxy:
        Client(str(tmp_path), proxy.port, world.user).sync()
    world.far.set_flags("INBOX", 1, ["\\Flagged"])
    world.far.remove("INBOX", [2])
    world.far.add("INBOX", 9)
    world.near.set_flags("INBOX", 3, ["\\Seen"])
    world.near.remove("INBOX", [4])
    with Proxy(server.port("imap"), without=TIERS[tier]) as proxy:
        client = Client(str(tmp_path), proxy.port, world.user)
        assert "1 new here, 0 new there, 2 flag changes, 0 moved, 1 removed here, 1 removed there" in client.sync()
        table = world.equal()
        assert table["INBOX"][1] == {"\\Flagged"} and set(table["INBOX"]) == {1, 3, 5, 6, 7, 9}
        world.far.set_flags("INBOX", 5, ["\\Seen"])
        assert "1 flag changes" in client.sync()
        world.equal()


@pytest.mark.parametrize("told", ["NAMESPACE", "INBOX", "the first"])
def test_delimiter_of_our_own_folders(tmp_path, told):
    """A namespace of others with another delimiter says nothing of ours."""
    with Box({"INBOX": [1]}) as box:
        if told == "NAMESPACE":
            box.caps += " NAMESPACE"
            box.do_namespace = lambda session, words: b'* NAMESPACE (("" ".")) NIL (("#shared/" "/"))\r\n'
        lines = [b'* LIST () "." INBOX\r\n', b'* LIST () "/" "#shared/x"\r\n'] if told != "NAMESPACE" else [
            b'* LIST () NIL INBOX\r\n', b'* LIST () "/" "#shared/x"\r\n']
        if told == "INBOX":
            lines.reverse()
        box.folders["#shared/x"] = Folder()
        box.do_list = lambda session, words: b"".join(lines) + b"".join(
            b'* LIST () "." "%s"\r\n' % name.encode() for name in box.folders if name not in ("INBOX", "#shared/x"))
        client, near = account(tmp_path, box)
        near.add("Work/2026", 2)
        client.sync()
        assert "Work.2026" in box.folders and box.numbers("Work.2026") == {2}, box.folders
        assert "0 new here, 0 new there" in client.sync()


def test_uids_the_other_way_round(tmp_path):
    """The list of a folder from its newest message to its oldest, each told twice."""
    with Box({"INBOX": range(1, 60)}) as box:
        plain = box.do_fetch

        def backwards(session, words):
            lines = plain(session, words)
            if words != b"UID FETCH 1:* (FLAGS)":
                return lines
            told = lines.splitlines(keepends=True)[::-1]
            return b"".join(line + line for line in told)
        box.do_fetch = backwards
        client, near = account(tmp_path, box)
        assert set(near.files("INBOX")) == set(range(1, 60))
        near.remove("INBOX", [3])
        assert "0 new here, 0 new there, 0 flag changes, 0 moved, 0 removed here, 1 removed there" in client.sync()


def test_uploads_to_an_old_server_that_alters(tmp_path):
    """Without UIDPLUS each that went up is found by its Message-ID, although the server made it longer; two of one Message-ID are two."""
    with Box({"INBOX": [1]}, caps="IMAP4rev1 LITERAL+") as box:
        client, near = account(tmp_path, box)
        plain = box.store

        def store(name, mail):
            return plain(name, Mail(b"X-Seen-By: box\r\n" + mail.data, mail.flags, mail.date))
        box.store = store
        for number in (2, 3, 4, 5, 6):
            near.add("INBOX", number)
        path = near.files("INBOX")[6]
        with open(path, "rb") as f:
            data = f.read().replace(b"<6@", b"<5@")
        with open(path, "wb") as f:
            f.write(data)
        assert "5 new there" in client.sync()
        for _ in range(2):
            assert "0 new here, 0 new there, 0 flag changes, 0 moved, 0 removed here, 0 removed there" in client.sync()
        assert box.numbers("INBOX") == set(near.files("INBOX")) == {1, 2, 3, 4, 5, 6}


# ---- the disk itself ----


def test_lost_and_found(server, tmp_path):
    """A Maildir that is a file system of its own has a folder of the system's in it; another one that cannot be read is told of, and nothing is done."""
    world = World(server, tmp_path)
    world.far.add("INBOX", 1)
    world.client.sync()
    os.mkdir(os.path.join(world.near.root, "lost+found"), 0)
    world.far.add("INBOX", 2)
    done = without_rights(world.client, "sync")
    assert done.returncode == 0 and "1 new here" in done.stdout, done
    os.mkdir(os.path.join(world.near.root, "Private"), 0)
    done = without_rights(world.client, "sync")
    assert done.returncode != 0 and "Private" in done.stderr, done
    os.rmdir(os.path.join(world.near.root, "lost+found"))
    os.rmdir(os.path.join(world.near.root, "Private"))


def test_undo_goes_on_where_it_was_cut(server, tmp_path):
    """A copy that is back already is back; another message of that name stays, and the rest comes."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 6))
    world.client.sync()
    world.far.remove("INBOX", [1, 2, 3])
    world.client.sync()
    cur = os.path.join(world.near.root, "INBOX", "new")
    kept = sorted(os.path.join(path, name) for path, _, names in os.walk(os.path.join(world.client.state, "undo")) for name in names)
    shutil.copy2(kept[0], cur)
    with open(os.path.join(cur, os.path.basename(kept[1])), "wb") as f:
        f.write(message(9).replace(b"\r\n", b"\n"))
    done = world.client.run("undo")
    assert done.returncode == 0 and "Brought back: 3 messages" in done.stdout, done
    assert set(world.near.files("INBOX")) == {1, 2, 3, 4, 5, 9}
    assert not kept_in_undo(world.client)


def test_a_backup_that_is_put_back_over_the_mail(server, tmp_path):
    """The older names of files lie beside the ones of now: they say nothing of flags, and no message goes up again."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 13))
    world.client.sync()
    old = world.near.files("INBOX")
    for number in range(1, 13):
        world.near.set_flags("INBOX", number, ["\\Seen", "\\Flagged"] if number % 2 else ["\\Seen"])
    world.client.sync()
    want = world.equal()
    for path in world.near.files("INBOX").values():
        shutil.copy2(path, os.path.join(os.path.dirname(path), os.path.basename(path).partition(":2,")[0] + ":2,"))
        assert path not in old.values()
    for _ in range(2):
        assert "0 new here, 0 new there, 0 flag changes, 0 moved, 0 removed here, 0 removed there" in world.client.sync()
    assert world.far.table() == want


def test_verify_where_modseq_went_back(server, tmp_path):
    """What the next run will list anew is no difference that nobody sees."""
    world = World(server, tmp_path)
    world.far.add_many("INBOX", range(1, 4))
    far_ahead = lambda data: re.sub(rb"HIGHESTMODSEQ (\d+)", lambda m: b"HIGHESTMODSEQ %d" % (int(m[1]) + 10**9), data)  # noqa: E731
    with Proxy(server.port("imap"), alter=far_ahead) as proxy:
        Client(str(tmp_path), proxy.port, world.user).sync()
    world.far.set_flags("INBOX", 1, ["\\Flagged"])
    client = Client(str(tmp_path), server.port("imap"), world.user)
    done = client.run("verify", "--json")
    assert done.returncode == 22, done  # only what the next run does
    client.sync()
    world.equal()
