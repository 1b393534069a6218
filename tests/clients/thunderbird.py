"""Thunderbird without a window, driven by Marionette: JSON messages over TCP, each as LENGTH:BYTES.

    with Thunderbird(folder, ca) as tb:           # a profile and a home of its own in folder
        tb.add(user, port)                        # an account by POP3 over TLS, its password known
        tb.fetch(keep=True)                       # asks for new mail and waits until it says that it is done
        tb.message_ids()                          # what lies in its inbox
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import server as lib

START_S = 60

PREFERENCES = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.spotlight.firstRunDone": True,
    "mail.shell.checkDefaultClient": False,
    "mail.biff.show_alert": False,
    "mail.inappnotifications.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}

# What a script may use. It ends with done(value), or with done({error: text}).
PROLOGUE = """
const done = arguments[arguments.length - 1];
const fail = e => done({error: String(e) + "\\n" + (e.stack || "")});
const inbox = server => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const server = () => MailServices.accounts.allServers.find(s => s.type == "pop3");
"""

ADD = """
const [name, password, port, ca] = arguments;
(async () => {
  Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(ca, "CT,C,C");
  const origin = "mailbox://localhost";
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, origin, name, password, "", "");
  await Services.logins.addLoginAsync(login);
  const incoming = MailServices.accounts.createIncomingServer(name, "localhost", "pop3");
  incoming.port = port;
  incoming.socketType = Ci.nsMsgSocketType.SSL;
  incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  incoming.doBiff = false;
  incoming.loginAtStartUp = false;
  incoming.downloadOnBiff = false;
  incoming.valid = true;
  const account = MailServices.accounts.createAccount();
  account.incomingServer = incoming;
  incoming.QueryInterface(Ci.nsILocalMailIncomingServer).createDefaultMailboxes();
  done(Services.appinfo.version);
})().catch(fail);
"""

FETCH = """
const [keep] = arguments;
try {
  const s = server();
  s.QueryInterface(Ci.nsIPop3IncomingServer).leaveMessagesOnServer = keep;
  s.getNewMessages(inbox(s), null, {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl(url, status) { done(status); },
  });
} catch (e) { fail(e); }
"""

MESSAGE_IDS = """
try {
  done([...inbox(server()).messages].map(m => m.messageId));
} catch (e) { fail(e); }
"""


class Thunderbird:
    def __init__(self, folder, ca):
        self.profile, self.home = os.path.join(folder, "profile"), os.path.join(folder, "home")
        self.log = os.path.join(folder, "thunderbird.log")
        os.makedirs(self.profile)
        os.makedirs(self.home)
        with open(ca, encoding="ascii") as f:
            self.ca = "".join(line.strip() for line in f if "-----" not in line)
        self.process = None
        self.buffer = b""
        self.number = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop()

    # ---- the program ----

    def start(self):
        port = lib.free_port()
        with open(os.path.join(self.profile, "user.js"), "w", encoding="ascii") as f:
            for name, value in {**PREFERENCES, "marionette.port": port}.items():
                f.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "LC_ALL": "C.UTF-8", "MOZ_CRASHREPORTER_DISABLE": "1", "TMPDIR": self.home}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([shutil.which("thunderbird"), "--headless", "--marionette", "--remote-allow-system-access",
                                             "--no-remote", "--profile", self.profile], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, start_new_session=True)
        self.socket = self.connect(port)
        self.buffer = b""
        self.read()  # its greeting
        self.command("WebDriver:NewSession", capabilities={})
        self.command("WebDriver:SetTimeouts", script=100000)
        self.command("Marionette:SetContext", value="chrome")

    def connect(self, port):
        until = time.monotonic() + START_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=120)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.kill()
                    raise RuntimeError(f"Thunderbird does not answer:\n{self.tail()}") from None
                time.sleep(0.05)

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join([line for line in f if "Gtk" not in line and "gtk" not in line][-20:])

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self):
        """As somebody who closes it, so that it writes down what it knows."""
        try:
            self.command("Marionette:Quit", flags=["eAttemptQuit"])
            self.process.wait(60)
        finally:
            self.socket.close()
            if self.process.poll() is None:
                self.kill()

    # ---- Marionette ----

    def receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise RuntimeError(f"Thunderbird has ended:\n{self.tail()}")
        self.buffer += data

    def read(self):
        while b":" not in self.buffer:
            self.receive()
        length, self.buffer = self.buffer.split(b":", 1)
        while len(self.buffer) < int(length):
            self.receive()
        message, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return json.loads(message)

    def command(self, name, **parameters):
        self.number += 1
        data = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = self.read()
        assert number == self.number
        if error:
            raise RuntimeError(f"{name}: {error}\n{self.tail()}")
        return result

    def run(self, script, *arguments):
        value = self.command("WebDriver:ExecuteAsyncScript", script=PROLOGUE + script, args=list(arguments))["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{value['error']}\n{self.tail()}")
        return value

    # ---- mail ----

    def add(self, user, port):
        return self.run(ADD, user.address, user.password, port, self.ca)

    def fetch(self, keep=True):
        status = self.run(FETCH, keep)
        assert status == 0, f"{status:#x}\n{self.tail()}"

    def message_ids(self):
        return self.run(MESSAGE_IDS)
