"""barid sync where a disk, a server or another program does what is seldom done: nothing is removed for it, nothing doubled, and the rest of the mail goes on."""
import json
import os
import re
import subprocess

import pytest

from capproxy import Proxy
from imapside import Mailbox
from server import User, barid_program
from test_sync import TIERS, World
from twosides import Client, Near

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
