"""barid mime: a message shown, as JSON, and its parts as files."""
import email.message
import email.policy
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import barid_program  # noqa: E402

ARABIC = "\u0628\u0631\u064a\u062f"


def barid(*args, lang="en", stdin=None, cwd=None):
    env = {"PATH": os.environ["PATH"], "BARID_LANG": lang}
    return subprocess.run([barid_program(), *map(str, args)], env=env, capture_output=True, timeout=60, input=stdin, cwd=cwd)


def ok(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.decode("utf-8")


@pytest.fixture
def message(tmp_path):
    m = email.message.EmailMessage()
    m["Subject"] = "Re: [list] " + ARABIC
    m["Message-ID"] = "<me@x>"
    m["References"] = "<a@b> <c@d>"
    m["Date"] = "Wed, 25 Nov 2026 07:45:01 +0300"
    m.set_content("first words\n")
    m.add_attachment(b"\x00\x01png", maintype="image", subtype="png", filename=ARABIC + ".png")
    m.add_attachment(b"again", maintype="application", subtype="pdf", filename="../../../evil/a.pdf")
    m.add_attachment(b"again 2", maintype="application", subtype="pdf", filename="a.pdf")
    m.add_attachment(b"nameless", maintype="application", subtype="zip")
    inner = email.message.EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inner text")
    inner.add_attachment(b"inside", maintype="application", subtype="pdf", filename="inside.pdf")
    m.add_attachment(inner)
    path = tmp_path / "m.eml"
    path.write_bytes(m.as_bytes(policy=email.policy.SMTP))
    return path


def test_shown(message):
    text = ok(barid("mime", message))
    assert "Re: [list] " + ARABIC in text and "first words" in text
    assert "  2  image/png" in text and f'"{ARABIC}.png"' in text
    arabic = ok(barid("mime", message, lang="ar"))
    assert arabic != text and "\u0627\u0644\u062a\u0631\u0645\u064a\u0632" in arabic
    assert ok(barid("mime", "-", stdin=message.read_bytes())) == text


def test_terminal_is_safe(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(b"Subject: \x1b[31mred\x07\r\nX-\xe2\x80\xae: y\xe2\x80\xaez\r\n\r\nbody \x1b]0;title\x07\xc2\x9b\r\n")
    out = ok(barid("mime", path))
    assert not any(c in out for c in "\x1b\x07\u202e\x9b")


def test_json(message):
    facts = json.loads(ok(barid("mime", "--json", message)))
    raw = message.read_bytes()
    assert facts["size"] == len(raw)
    assert facts["subject"] == "Re: [list] " + ARABIC and facts["base_subject"] == ARABIC
    assert facts["is_reply"] is True and facts["has_attachment"] is True
    assert facts["message_id"] == "me@x" and facts["references"] == ["a@b", "c@d"]
    assert facts["date"] == 1795581901 and facts["date_zone_minutes"] == 180
    assert {"name": "Message-ID", "value": "<me@x>"} in facts["headers"]
    parts = {p["part"]: p for p in facts["parts"]}
    assert parts["1"]["type"] == "text" and not parts["1"]["attachment"]
    assert parts["2"]["filename"] == ARABIC + ".png" and parts["2"]["attachment"]
    assert parts["3"]["safe_filename"] == "a.pdf"
    assert parts["6.2"]["filename"] == "inside.pdf"
    body = parts["1"]["body"]
    assert raw[body["offset"]:body["offset"] + body["length"]].startswith(b"first words")


def test_json_of_anything_is_json(tmp_path):
    path = tmp_path / "m.eml"
    for data in (b"", b"\xff\xfe\x00", b"Subject: \xff\"\\\x01\r\nContent-Type: \xff/\xfe; name=\"\xff\"\r\nMessage-ID: <\xff@\xfe>\r\n\r\n\xff"):
        path.write_bytes(data)
        json.loads(ok(barid("mime", "--json", path)))


def test_extract(message, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    said = ok(barid("mime", "extract", message, "--to", folder)).splitlines()
    assert [os.path.basename(line) for line in said] == [ARABIC + ".png", "a.pdf", "a (2).pdf", "part-5.zip", "part-6.eml"]
    assert sorted(os.listdir(folder)) == sorted(os.path.basename(line) for line in said)
    assert (folder / (ARABIC + ".png")).read_bytes() == b"\x00\x01png"
    assert (folder / "a.pdf").read_bytes() == b"again" and (folder / "a (2).pdf").read_bytes() == b"again 2"
    assert b"Subject: inner" in (folder / "part-6.eml").read_bytes()
    assert not (tmp_path / "evil").exists()


def test_extract_by_number(message, tmp_path):
    said = ok(barid("mime", "extract", message, "1", "6.2", cwd=tmp_path)).splitlines()
    assert said == ["./part-1.txt", "./inside.pdf"]
    assert (tmp_path / "inside.pdf").read_bytes() == b"inside"
    failed = barid("mime", "extract", message, "1", "7", cwd=tmp_path)
    assert failed.returncode == 65 and b"7" in failed.stderr
    assert not (tmp_path / "part-1 (2).txt").exists()  # nothing is written when a number is wrong


def test_extract_never_writes_over(message, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    target = tmp_path / "precious"
    target.write_bytes(b"mine")
    (folder / "a.pdf").symlink_to(target)
    (folder / "a (2).pdf").write_bytes(b"mine too")
    ok(barid("mime", "extract", "--to", folder, message, "3"))
    assert target.read_bytes() == b"mine" and (folder / "a (2).pdf").read_bytes() == b"mine too"
    assert (folder / "a (3).pdf").read_bytes() == b"again"


def test_extract_of_an_encoded_message(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5\r\n")
    ok(barid("mime", "extract", path, "1", cwd=tmp_path))
    assert (tmp_path / "part-1.eml").read_bytes() == b"Subject: x\r\n\r\ny"


def test_extract_without_attachments(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(b"Subject: x\r\n\r\ntext\r\n")
    assert "no attachments" in ok(barid("mime", "extract", path, cwd=tmp_path))
    assert os.listdir(tmp_path) == ["m.eml"]


@pytest.mark.parametrize("args", [["mime"], ["mime", "extract"], ["mime", "--imap"], ["mime", "a", "b"], ["mime", "--what", "a"],
                                  ["mime", "extract", "a", "--to"]])
def test_usage(args):
    assert barid(*args).returncode == 64


def test_no_file(tmp_path):
    failed = barid("mime", tmp_path / "none.eml")
    assert failed.returncode == 66 and b"none.eml" in failed.stderr
    assert barid("mime", "extract", tmp_path / "none.eml").returncode == 66
    assert barid("mime", "--imap", tmp_path / "none.eml").stdout == b"()\n"
    (tmp_path / "m.eml").write_bytes(b"x")
    assert barid("mime", "extract", tmp_path / "m.eml", "--to", tmp_path / "none").returncode == 73
