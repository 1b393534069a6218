"""SEARCH against a model: trees of header, flag, uid and size keys over messages that come, change and go meanwhile, asked in two sessions."""
import os
import random
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import raw  # noqa: E402
from server import Server  # noqa: E402

WORDS = ["alpha", "beta", "gamma", "delta", "albet", "pha"]
FLAGS = {"SEEN": "\\Seen", "FLAGGED": "\\Flagged", "ANSWERED": "\\Answered"}


class Message:
    def __init__(self, rng, number):
        self.fields = {}
        for name in ("SUBJECT", "FROM", "TO", "CC"):
            if rng.random() < 0.8:
                self.fields[name] = " ".join(rng.choices(WORDS, k=rng.randint(1, 3)))
        if rng.random() < 0.1:  # longer than what a table keeps
            self.fields["TO"] = ", ".join(f"{word}{i}@x.test" for i in range(200) for word in rng.choices(WORDS, k=1))
        self.fields["MESSAGE-ID"] = f"<{number}.{rng.choice(WORDS)}@x.test>"
        self.flags = {flag for flag in FLAGS if rng.random() < 0.3}
        self.body = rng.choice(WORDS)
        lines = [f"{name.title()}: {value}" for name, value in self.fields.items()]
        self.data = ("\r\n".join(lines) + f"\r\n\r\n{self.body}\r\n").encode()


def key(rng, depth, uids):
    """(words of a command, whether a message with this uid matches)"""
    kind = rng.choice(["field"] * 4 + ["header", "flag", "noflag", "uid", "larger", "body"] + ["or", "not", "and"] * (depth > 0))
    if kind == "field":
        name, word = rng.choice(["SUBJECT", "FROM", "TO", "CC"]), rng.choice(WORDS)
        return f"{name} {word}", lambda uid, m: word in m.fields.get(name, "")
    if kind == "header":
        word = rng.choice(WORDS + [""])
        name = rng.choice(["Message-Id", "Subject", "X-None"])
        return f'HEADER {name} "{word}"', lambda uid, m: name.upper() in m.fields and word in m.fields[name.upper()]
    if kind == "flag":
        flag = rng.choice(list(FLAGS))
        return flag, lambda uid, m: flag in m.flags
    if kind == "noflag":
        flag = rng.choice(list(FLAGS))
        return "UN" + flag, lambda uid, m: flag not in m.flags
    if kind == "uid":
        first = rng.choice(uids)
        return f"UID {first}:*", lambda uid, m: uid >= first or uid == max(uids)
    if kind == "larger":
        size = rng.choice([100, 150, 3000])
        return f"LARGER {size}", lambda uid, m: len(m.data) > size
    if kind == "body":
        word = rng.choice(WORDS)
        return f"BODY {word}", lambda uid, m: word in m.body
    if kind == "not":
        words, holds = key(rng, depth - 1, uids)
        return f"NOT {words}", lambda uid, m: not holds(uid, m)
    (left, holds_left), (right, holds_right) = key(rng, depth - 1, uids), key(rng, depth - 1, uids)
    if kind == "or":
        return f"OR {left} {right}", lambda uid, m: holds_left(uid, m) or holds_right(uid, m)
    return f"({left} {right})", lambda uid, m: holds_left(uid, m) and holds_right(uid, m)


class World:
    def __init__(self, rng, client):
        self.rng, self.client, self.messages, self.number, self.next = rng, client, {}, 0, 1

    def add(self, count):
        for _ in range(count):
            self.number += 1
            m = Message(self.rng, self.number)
            flags = " ".join(FLAGS[flag] for flag in m.flags)
            self.client.command(raw.append_command("INBOX", m.data, flags))
            self.messages[self.next] = m
            self.next += 1

    def change(self):
        uid = self.rng.choice(list(self.messages))
        kind = self.rng.randrange(3)
        if kind == 0:
            self.add(self.rng.randint(1, 5))
        elif kind == 1 and len(self.messages) > 20:
            self.client.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
            self.client.command(b"UID EXPUNGE %d" % uid)
            del self.messages[uid]
        else:
            flag = self.rng.choice(list(FLAGS))
            sign = b"-" if flag in self.messages[uid].flags else b"+"
            self.client.command(b"UID STORE %d %sFLAGS.SILENT (%s)" % (uid, sign, FLAGS[flag].encode()))
            self.messages[uid].flags ^= {flag}


def search(client, words):
    _, untagged = client.command(b"UID SEARCH " + words.encode())
    lines = [parts[0] for parts in untagged if parts[0].startswith(b"* SEARCH")]
    assert len(lines) == 1
    return [int(uid) for uid in lines[0].split()[2:]]


@pytest.mark.parametrize("seed", range(6))
def test_trees_of_keys(seed):
    rng = random.Random(seed)
    with Server() as server:
        user = server.user()
        writer, reader = raw.Imap(server.port("imap"), user), raw.Imap(server.port("imap"), user)
        world = World(rng, writer)
        writer.command("SELECT INBOX")
        world.add(60)
        reader.command("EXAMINE INBOX")
        for _ in range(60):
            for _ in range(rng.randrange(3)):
                world.change()
            reader.command("NOOP")
            uids = sorted(world.messages)
            made = [key(rng, 3, uids) for _ in range(rng.randint(1, 3))]
            words = " ".join(words for words, _ in made)
            wanted = [uid for uid in uids if all(holds(uid, world.messages[uid]) for _, holds in made)]
            assert search(reader, words) == wanted, words
        writer.close()
        reader.close()
