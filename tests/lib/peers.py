"""Mail servers of others, without their login: each connection of a port on loopback gets the program that serves one session.

    with dovecot(folder, "maildir:~/Maildir") as peer:  peer.port
"""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading


class Peer:
    def __init__(self, command, how, folder):
        self.command, self.how, self.folder = command, how, folder
        self.programs = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.programs = [p for p in self.programs if p.poll() is None]
                self.programs.append(subprocess.Popen(self.command, stdin=connection, stdout=connection,
                                                      stderr=subprocess.DEVNULL, start_new_session=True, **self.how))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # a thread that waits in accept must not come back to the descriptor when it belongs to the next listener
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
        for program in self.programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def dovecot(location):
    """An empty mailbox of Debian's Dovecot, or None when dovecot-imapd is not installed. Its programs do not run as root."""
    program = "/usr/lib/dovecot/imap"
    if not os.access(program, os.X_OK):
        return None
    folder = tempfile.mkdtemp(prefix="barid-peer-")
    root = os.geteuid() == 0
    who = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
    group = subprocess.run(["id", "-gn", who.pw_name], capture_output=True, text=True, check=True).stdout.strip()
    values = {"log_path": f"{folder}/log", "base_dir": f"{folder}/run", "ssl": "no", "mail_uid": who.pw_name,
              "mail_gid": group, "default_internal_user": who.pw_name, "default_internal_group": group,
              "default_login_user": who.pw_name, "first_valid_uid": "1", "mail_location": location}
    conf = os.path.join(folder, "dovecot.conf")
    os.makedirs(os.path.join(folder, "run"))
    with open(conf, "w", encoding="ascii") as f:
        f.write("".join(f"{k} = {v}\n" for k, v in values.items()))
        f.write("namespace {\n  inbox = yes\n  separator = /\n}\n")
    how = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "HOME": folder, "USER": "salma"}}
    if root:
        how.update(user=who.pw_uid, group=who.pw_gid, extra_groups=[])
        for path, folders, files in os.walk(folder):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(path, name), who.pw_uid, who.pw_gid)
    return Peer([program, "-c", conf], how, folder)
