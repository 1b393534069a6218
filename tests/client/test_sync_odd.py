"""barid sync where a disk, a server or another program does what is seldom done: nothing is removed for it, nothing doubled, and the rest of the mail goes on."""
import os

import pytest

from test_sync import World

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
    for words in ([], []):
        assert "0 new there, 0 flag changes, 0 moved, 0 removed here, 0 removed there" in world.client.sync(*words)
    assert set(world.far.table()["INBOX"]) == {1, 2, 3}
    world.far.set_flags("INBOX", 1, ["\\Flagged"])
    world.far.remove("INBOX", [2])
    assert "1 removed here" in world.client.sync()
    world.far.remove("INBOX", [1])
    world.client.sync()
    world.client.sync()
    assert set(world.far.table()["INBOX"]) == {3} and os.path.exists(kept)

