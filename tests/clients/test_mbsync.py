"""mbsync keeps a maildir and the server equal, both ways."""
import os
import subprocess

import pytest
from conftest import BODIES, message, messages, need


@pytest.fixture(params=["IMAPS", "STARTTLS"])
def box(server, user, tmp_path, request):
    need("mbsync")
    listener = "imaps" if request.param == "IMAPS" else "imap"
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text(f"""
IMAPAccount far
Host localhost
Port {server.port(listener)}
User {user.address}
Pass "{user.password}"
SSLType {request.param}
SystemCertificates no
CertificateFile {server.ca}

IMAPStore far
Account far

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState {tmp_path}/state-
""")
    return Box(server, user, tmp_path)


class Box:
    def __init__(self, server, user, path):
        self.server, self.user, self.path = server, user, path

    def sync(self):
        done = subprocess.run(["mbsync", "-c", str(self.path / "rc"), "-a"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def files(self, folder="INBOX"):
        out = []
        for sub in ("cur", "new"):
            d = self.path / "mail" / folder / sub
            out += [d / n for n in os.listdir(d)] if d.exists() else []
        return sorted(out)

    def state(self):
        """All that may not change when nothing happened."""
        c = self.server.imap(self.user)
        c.select("INBOX", readonly=True)
        far = c.uid("FETCH", "1:*", "(UID FLAGS MODSEQ)")[1]
        c.logout()
        return [str(f) for f in self.files()], far


def text(data):
    """As it lies in a maildir; without the marker that mbsync puts into what it uploads."""
    return b"\n".join(line for line in data.replace(b"\r\n", b"\n").split(b"\n") if not line.startswith(b"X-TUID: "))


def test_both_ways(box):
    server, user = box.server, box.user
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    c = server.imap(user)
    c.create("Work")
    c.append("Work", "(\\Seen \\Flagged)", None, sent[0])
    box.sync()
    assert sorted(text(f.read_bytes()) for f in box.files()) == sorted(map(text, sent))
    work = box.files("Work")
    assert len(work) == 1 and {"F", "S"} <= set(str(work[0]).rsplit(",", 1)[1])

    # nothing happened: nothing changes
    before = box.state()
    box.sync()
    box.sync()
    assert box.state() == before

    # near: a new message, a flag, a deletion
    new = text(message(user.address, user.address, "arabic", 50))
    (box.path / "mail" / "INBOX" / "new" / "1764.1.client").write_bytes(new)
    files = [f for f in box.files() if f.name != "1764.1.client"]
    by_subject = {f.read_bytes().split(b"Subject: ")[1].split(b"\n")[0].split()[0].decode(): f for f in files}
    assert set(by_subject) == set(BODIES)
    flagged = by_subject["dots"]
    base = flagged.name.split(":2,")[0]
    flagged.rename(box.path / "mail" / "INBOX" / "cur" / f"{base}:2,FS")
    by_subject["empty"].unlink()
    box.sync()
    far = server.bodies(user)
    assert sorted(map(text, far.values())) == sorted([text(m) for m in sent[:-1]] + [new])
    c.select("INBOX")
    assert c.uid("SEARCH", "FLAGGED")[1] == [b"2"]

    # far: a deletion, a flag, a new message
    c.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
    c.expunge()
    c.uid("STORE", "3", "+FLAGS", "(\\Answered)")
    c.append("INBOX", None, None, message("noor@example.org", user.address, "plain", 51))
    box.sync()
    names = {f.read_bytes().split(b"Subject: ")[1].split(b"\n")[0].decode(): f.name for f in box.files()}
    assert set(names) == {"dots 2", "arabic 3", "long 4", "blanks 5", "arabic 50", "plain 51"}
    assert "R" in names["arabic 3"].rsplit(",", 1)[1]
    before = box.state()
    box.sync()
    assert box.state() == before
    c.logout()
