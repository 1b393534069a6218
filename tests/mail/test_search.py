"""The pairs of search-pairs.txt through the server: in bodies of many charsets and encodings, and in encoded Subjects."""
import base64
import binascii
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import raw  # noqa: E402
from server import Server  # noqa: E402

CODECS = {"iso-8859-8-i": "iso8859_8", "x-mac-arabic": "mac_arabic", "tis-620": "tis_620", "utf-16": "utf_16"}


def read_pairs():
    """[(left, relation, right, charset, encoding)]"""
    pairs = []
    with open(os.path.join(HERE, "search-pairs.txt"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            words = next(line.partition(f" {r} ") for r in "=<!" if f" {r} " in line)
            left, relation, right = words
            right, _, how = right.partition(" @ ")
            charset, _, encoding = (how or "utf-8/8bit").partition("/")
            assert left and right and encoding, f"line {number}"
            pairs.append((left, relation.strip(), right, charset, encoding))
    return pairs


def message(text, charset, encoding):
    data = text.encode(CODECS.get(charset, charset))
    word = base64.b64encode(data).decode()
    if encoding == "base64":
        body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = binascii.b2a_qp(data, istext=False) + b"\r\n"
    else:
        body = data + b"\r\n"
    return (f"Subject: =?{charset}?B?{word}?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n"
            f"Content-Transfer-Encoding: {encoding}\r\n\r\n").encode() + body


PAIRS = read_pairs()


@pytest.fixture(scope="module")
def client():
    with Server() as server:
        user = server.user()
        c = raw.Imap(server.port("imap"), user)
        for left, _, right, charset, encoding in PAIRS:
            for m in (message(left, "utf-8", "8bit"), message(right, charset, encoding)):
                c.command(raw.append_command("INBOX", m))
        c.command("SELECT INBOX")
        yield c
        c.close()


def finds(client, uid, key, query):
    literal = query.encode()
    _, untagged = client.command(b"UID SEARCH CHARSET UTF-8 UID %d %s {%d+}\r\n%s" % (uid, key, len(literal), literal))
    found = [parts[0] for parts in untagged if parts[0].startswith(b"* SEARCH")]
    return found[0].split()[2:] == [b"%d" % uid]


def test_there_are_enough():
    assert len(PAIRS) >= 200 and len(set(PAIRS)) == len(PAIRS)
    assert {relation for _, relation, *_ in PAIRS} == {"=", "<", "!"}


@pytest.mark.parametrize("key", [b"BODY", b"SUBJECT"])
def test_pairs(client, key):
    wrong = []
    for index, (left, relation, right, charset, _) in enumerate(PAIRS):
        if key == b"SUBJECT" and charset == "utf-7":  # RFC 2047 knows no such word
            continue
        there = finds(client, 2 * index + 2, key, left)
        back = finds(client, 2 * index + 1, key, right)
        if there != (relation in "=<") or back != (relation == "="):
            wrong.append(f"{left} {relation} {right} ({charset}): found {there}, back {back}")
        assert finds(client, 2 * index + 1, key, left) and finds(client, 2 * index + 2, key, right), (left, right, charset)
    assert not wrong, "\n".join(wrong)
