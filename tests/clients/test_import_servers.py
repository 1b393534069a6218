"""Mail that Dovecot and Courier have shown by POP3, imported: each message has the UIDL here that it had there, and the same bytes."""
import os
import poplib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
import server as lib

PEERS = os.path.join(lib.TOP, "build", "peers", "courier")


class Piped(poplib.POP3):
    """A POP3 server that is a program of its own: it has a socket for its standard input and output, and its user is logged in already."""

    def __init__(self, command, greets, **how):
        ours, theirs = socket.socketpair()
        self.program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True, **how)
        theirs.close()
        ours.settimeout(30)
        self.ours = ours
        if not greets:
            ours.sendall(b"NOOP\r\n")  # its answer stands for a greeting
        super().__init__("")

    def _create_socket(self, timeout):
        return self.ours

    def end(self):
        self.quit()
        try:
            self.program.wait(30)
        finally:
            if self.program.poll() is None:
                os.killpg(self.program.pid, signal.SIGKILL)
                self.program.wait()


@pytest.fixture
def place():
    """A folder that belongs to whom the other server runs as: it does not run as root."""
    path = tempfile.mkdtemp(prefix="barid-peer-")
    who = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chmod(path, 0o755)
    yield path, who
    shutil.rmtree(path)


def as_user(place):
    path, who = place
    how = {"cwd": path, "env": {"PATH": os.environ["PATH"], "HOME": path, "USER": "salma"}}
    if os.geteuid() == 0:
        how.update(user=who.pw_uid, group=who.pw_gid, extra_groups=[])
    return how


def give(place, *paths):
    for path in paths:
        for base, folders, files in os.walk(path):
            for name in [".", *folders, *files]:
                if os.geteuid() == 0:
                    os.chown(os.path.join(base, name), place[1].pw_uid, place[1].pw_gid, follow_symlinks=False)


def dovecot(place, location, **settings):
    program = "/usr/lib/dovecot/pop3"
    if not os.access(program, os.X_OK):
        pytest.skip("dovecot-pop3d is not installed")
    path, who = place
    group = subprocess.run(["id", "-gn", who.pw_name], capture_output=True, text=True, check=True).stdout.strip()
    conf = os.path.join(path, "dovecot.conf")
    values = {"log_path": f"{path}/log", "base_dir": f"{path}/run", "ssl": "no", "mail_uid": who.pw_name, "mail_gid": group,
              "default_internal_user": who.pw_name, "default_internal_group": group, "default_login_user": who.pw_name,
              "first_valid_uid": "1", "mail_location": location, "mbox_write_locks": "fcntl", "mbox_lazy_writes": "no", **settings}
    with open(conf, "w", encoding="ascii") as f:
        f.write("".join(f"{k} {v}\n" if v.startswith("{") else f"{k} = {v}\n" for k, v in values.items()))
    os.makedirs(os.path.join(path, "run"), exist_ok=True)
    give(place, path)
    return Piped([program, "-c", conf], False, **as_user(place))


def courier(place, location):
    installed = "/usr/lib/courier/courier/courierpop3d"
    program = installed if os.access(installed, os.X_OK) else PEERS + installed
    if not os.access(program, os.X_OK):
        pytest.skip("courier-pop is not here (tools/deps check)")
    how = as_user(place)
    path = os.path.join(place[0], "courierpop3d")  # where the other user may run it
    if not os.path.exists(path):
        shutil.copy(program, path)
        if program != installed:
            shutil.copytree(PEERS, os.path.join(place[0], "peers"), symlinks=True)
    libraries = [os.path.join(base, "") for base, _, files in os.walk(os.path.join(place[0], "peers")) if any(".so" in f for f in files)]
    how["env"].update(AUTHENTICATED="salma", AUTHADDR="salma", TCPREMOTEIP="127.0.0.1", LD_LIBRARY_PATH=":".join(libraries))
    give(place, place[0])
    return Piped([path, location], True, **how)


def message(n):
    return f"From: a@example.org\nSubject: number {n}\nMessage-ID: <{n}@x>\n\n.dot\ntext {n}\n".encode() + b"x" * (n * 37) + b"\n"


def deliver(folder, n, sub="new"):
    with open(os.path.join(folder, sub, f"{1600000000 + n}.M{n}P1.host{',S=99' if n % 3 == 0 else ''}"), "wb") as f:
        f.write(message(n))


def maildir(place):
    root = os.path.join(place[0], "Maildir")
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, sub))
    return root


def listed(c):
    """{UIDL: lines of the message}"""
    return {line.split()[1].decode(): c.retr(int(line.split()[0]))[1] for line in c.uidl()[1]}


def compare(server, user, there, new):
    """There: what the old server showed. new: how many came that no program has seen."""
    server.run("pop", user.address, "window=all")
    c = server.pop3(user)
    here = listed(c)
    c.quit()
    assert {u: here.get(u) for u in there} == there
    assert len(here) == len(there) + new


FORMATS = [None, "%v.%u", "UID%u-%v", "%f", "%g", "%08Xv%08Xu", "%2Xv-%03u"]


@pytest.mark.parametrize("saved", ["no", "yes"])
@pytest.mark.parametrize("uidl_format", FORMATS)
def test_a_maildir_of_dovecot(server, user, place, uidl_format, saved):
    root = maildir(place)
    settings = {"pop3_save_uidl": saved}
    if uidl_format:
        settings["pop3_uidl_format"] = uidl_format
    for n in range(1, 6):
        deliver(root, n)
    for name in os.listdir(os.path.join(root, "new")):  # with the right size, as Dovecot writes names
        if ",S=" in name:
            path = os.path.join(root, "new", name)
            os.rename(path, f"{path.split(',S=')[0]},S={os.path.getsize(path)}")
    c = dovecot(place, f"maildir:{root}", **settings)
    assert len(c.uidl()[1]) == 5
    c.dele(2)
    c.end()
    for n in range(7, 9):
        deliver(root, n)
    c = dovecot(place, f"maildir:{root}", **settings)
    there = listed(c)
    c.end()
    assert len(there) == 6
    deliver(root, 10)  # after its last look
    words = ["--uidl", f"dovecot:{uidl_format}"] if uidl_format else []
    server.run("import", user.address, root, *words)
    compare(server, user, there, 1)
    server.run("import", user.address, root, *words)
    compare(server, user, there, 1)


@pytest.mark.parametrize("before, begins", [("UID%u-%v", "UID"), ("%f", "160")])
def test_a_maildir_whose_uidls_were_written_down(server, user, place, before, begins):
    """Names that were written down count, whatever the format says."""
    root = maildir(place)
    deliver(root, 1)
    c = dovecot(place, f"maildir:{root}", pop3_uidl_format=before, pop3_save_uidl="yes")
    there = listed(c)
    c.end()
    deliver(root, 2)
    c = dovecot(place, f"maildir:{root}")
    there.update(listed(c))
    c.end()
    assert sorted(u[:3] for u in there) == sorted(["000", begins])
    server.run("import", user.address, root)
    compare(server, user, there, 0)


@pytest.mark.parametrize("uidl_format", ["%08Xu%08Xv", "%g"])
def test_a_dbox_of_dovecot_by_way_of_a_maildir(server, user, place, uidl_format):
    """As docs/pop3.md says that it is done."""
    if not lib.have("doveadm"):
        pytest.skip("dovecot-core is not installed")
    dbox, root = os.path.join(place[0], "mdbox"), os.path.join(place[0], "Maildir")
    settings = {"pop3_uidl_format": uidl_format, "namespace": "{\n inbox = yes\n separator = /\n prefix =\n}"}
    c = dovecot(place, f"mdbox:{dbox}", **settings)
    c.end()

    def doveadm(*words, stdin=b""):
        subprocess.run([lib.have("doveadm"), "-c", os.path.join(place[0], "dovecot.conf"), *words], input=stdin, check=True, timeout=60,
                       capture_output=True, **as_user(place))

    for n in range(1, 5):
        doveadm("save", stdin=message(n))
    c = dovecot(place, f"mdbox:{dbox}", **settings)
    c.dele(2)
    c.end()
    c = dovecot(place, f"mdbox:{dbox}", **settings)
    there = listed(c)
    c.end()
    assert len(there) == 3
    doveadm("backup", f"maildir:{root}")
    server.run("import", user.address, root, "--uidl", f"dovecot:{uidl_format}")
    compare(server, user, there, 0)


def test_an_mbox_of_dovecot(server, user, place):
    path = os.path.join(place[0], "mail")
    os.makedirs(path)
    with open(os.path.join(path, "inbox"), "wb") as f:
        for n in range(1, 5):
            f.write(b"From a@example.org Thu Nov 26 21:06:%02d 2026\n" % n + message(n) + b"\n")
    c = dovecot(place, f"mbox:{path}:INBOX={path}/inbox", pop3_no_flag_updates="no")
    assert len(listed(c)) == 4
    c.dele(2)
    c.end()
    c = dovecot(place, f"mbox:{path}:INBOX={path}/inbox")
    there = listed(c)
    c.end()
    done = server.run("import", user.address, f"{path}/inbox", check=False)
    assert done.returncode == 65  # Dovecot or UW: only its owner knows
    server.run("import", user.address, f"{path}/inbox", "--uidl", "dovecot")
    compare(server, user, there, 0)


def test_a_maildir_of_courier(server, user, place):
    root = maildir(place)
    for n in range(1, 6):
        deliver(root, n)
    c = courier(place, root)
    assert len(c.uidl()[1]) == 5
    c.retr(1)
    c.dele(2)
    c.end()
    for n in range(7, 9):
        deliver(root, n)
    c = courier(place, root)
    there = listed(c)
    c.end()
    assert len(there) == 6 and all(u.startswith("UID") for u in there)
    deliver(root, 10)
    server.run("import", user.address, root)
    compare(server, user, there, 1)
