"""barid watch: news travel both ways without anybody asking, also after the server was away."""
import json
import os
import signal
import subprocess
import time

import pytest

import peers
import server as lib
from capproxy import Proxy
from twosides import Client, Far, Near

WAIT_S = 60


@pytest.fixture
def watched(tmp_path):
    """A server of its own, since it is stopped; an account, and a watch over it that has done its first run."""
    with lib.Server() as s:
        user = s.user()
        client = Client(str(tmp_path), s.port("imap"), user)
        far, near = Far(s.port("imap"), user), Near(client.maildir)
        far.add("INBOX", 1)
        hook = tmp_path / "hook"
        hook.write_text(f"#!/bin/sh\necho \"$1 $2\" >> {tmp_path}/told\n")
        hook.chmod(0o755)
        process = subprocess.Popen([lib.barid_program(), "watch", "--json", "--every", "600", "--hook", str(hook)], env=client.env,
                                   stdout=open(tmp_path / "out", "wb"), stderr=open(tmp_path / "err", "wb"))
        try:
            until(lambda: near.folders() and 1 in near.files("INBOX"), process)
            yield s, far, near, process, tmp_path
        finally:
            process.kill()
            process.wait()
        errors = (tmp_path / "err").read_text()
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors


def until(condition, process):
    end = time.monotonic() + WAIT_S
    while True:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass  # a file was renamed while it was read
        assert process.poll() is None, "it ended"
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def happens_once(condition, process, looks):
    """looks: one for each round that the watch goes. Ends it."""
    try:
        until(condition, process)
        rounds = len(looks)
        time.sleep(1)  # and then it waits: it does not go round for ever
        assert len(looks) <= rounds + 2, looks
    finally:
        process.kill()
        process.wait()


def test_both_ways(watched):
    server, far, near, process, folder = watched
    far.add("INBOX", 2)
    until(lambda: 2 in near.files("INBOX"), process)
    near.add("Archive", 3, ["\\Seen"])  # no message of the server's tells of it, and --every is far away
    until(lambda: 3 in far.table()["Archive"], process)
    near.set_flags("INBOX", 1, ["\\Flagged"])
    until(lambda: "\\Flagged" in far.table()["INBOX"][1], process)
    until(lambda: os.path.exists(folder / "told"), process)
    assert (folder / "told").read_text().splitlines()[-1] == "salma 1"
    lines = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    assert sum(line["down"] for line in lines) == 2 and sum(line["up"] for line in lines) == 1
    assert all(line["failure"] is None for line in lines)


def test_what_comes_between_looking_and_waiting(tmp_path, barid):
    """The round looked, then a message comes, then IDLE begins: the server tells of it to nobody, and --every is far away."""
    user = barid.user()
    far, looks = Far(barid.port("imap"), user), []

    def late(data):
        """Numbers of INBOX go to the client when they have become old: those of the round that has nothing to do."""
        if b"STATUS INBOX" in data or b"STATUS \"INBOX\"" in data:
            looks.append(len(looks))
            if len(looks) == 2:
                far.add("INBOX", 2)
        return data

    far.add("INBOX", 1)
    with Proxy(barid.port("imap"), alter=late) as proxy:
        client = Client(str(tmp_path), proxy.port, user)
        near = Near(client.maildir)
        process = subprocess.Popen([lib.barid_program(), "watch", "--json", "--every", "600"], env=client.env, stdout=subprocess.DEVNULL,
                                   stderr=open(tmp_path / "err", "wb"))
        happens_once(lambda: len(near.files("INBOX")) == 2, process, looks)


def test_a_server_that_was_away(watched):
    server, far, near, process, folder = watched
    server.kill()
    until(lambda: b"127.0.0.1" in (folder / "err").read_bytes(), process)
    server.start()
    far.add("INBOX", 4)
    until(lambda: 4 in near.files("INBOX"), process)
    process.send_signal(signal.SIGTERM)
    process.wait(WAIT_S)


def test_what_does_not_pass_ends_it(tmp_path, barid):
    user = barid.user()
    client = Client(str(tmp_path), barid.port("imap"), lib.User(user.address, "wrong"))
    done = client.run("watch")
    assert done.returncode == 77 and "refuses user or password" in done.stderr


@pytest.mark.parametrize("words", [["--every", "0"], ["--every", "x"], ["--every"], ["--hook"], ["--fast"], ["a", "b"]])
def test_wrong_use(tmp_path, barid, words):
    client = Client(str(tmp_path), 1, lib.User("a@b.test", "x"))
    assert client.run("watch", *words).returncode == 64


@pytest.mark.parametrize("location", ["maildir:~/Maildir"])
def test_other_folders_by_notify(tmp_path, location):
    """A folder that is not INBOX, a new folder, and --every is far away: the server tells of both (RFC 5465)."""
    peer = peers.dovecot(location)
    if not peer:
        pytest.skip("dovecot-imapd is not installed")
    with peer:
        user = lib.User("salma@x.test", "x")
        client = Client(str(tmp_path), peer.port, user)
        far, near = Far(peer.port, user), Near(client.maildir)
        far.make("Work")
        far.add("INBOX", 1)
        process = subprocess.Popen([lib.barid_program(), "watch", "--every", "1500"], env=client.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: 1 in near.files("INBOX") and "Work" in near.folders(), process)
            time.sleep(1)  # it waits now
            far.add("Work", 2)
            until(lambda: 2 in near.files("Work"), process)
            time.sleep(1)
            far.make("Later")
            until(lambda: "Later" in near.folders(), process)
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("what", ["mail", "folder"])
def test_what_comes_to_other_folders_before_notify(tmp_path, what):
    """The round looked, then another folder changes, then NOTIFY begins: it tells of what comes after it, and --every is far away."""
    peer = peers.dovecot("maildir:~/Maildir")
    if not peer:
        pytest.skip("dovecot-imapd is not installed")
    with peer:
        far, looks = Far(peer.port, lib.User("salma@x.test", "x")), []

        def late(data):
            if b"STATUS Work" in data and b"LIST" in data:
                looks.append(len(looks))
                if len(looks) == 2:
                    far.add("Work", 2) if what == "mail" else far.make("Later")
            return data

        far.make("Work")
        far.add("INBOX", 1)
        with Proxy(peer.port, alter=late) as proxy:
            client = Client(str(tmp_path), proxy.port, lib.User("salma@x.test", "x"))
            near = Near(client.maildir)
            process = subprocess.Popen([lib.barid_program(), "watch", "--every", "1500"], env=client.env, stdout=subprocess.DEVNULL,
                                       stderr=open(tmp_path / "err", "wb"))
            happens_once(lambda: 2 in near.files("Work") if what == "mail" else "Later" in near.folders(), process, looks)
        errors = (tmp_path / "err").read_text()
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors
