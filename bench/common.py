"""What the bench's scripts share: where things are, the load generator, the servers and the disk they run on."""
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILT = os.path.join(TOP, "build", "bench")
MAILLOAD = os.path.join(BUILT, "mailload")
LIMITS = os.path.join(BUILT, "limits")
# what is made once: the certificate, programs unpacked from packages
WORK = os.environ.get("BARID_BENCH") or os.path.join(tempfile.gettempdir(), "barid-bench")
BEGAN = time.monotonic()


def say(*words):
    print(f"[{time.monotonic() - BEGAN:5.0f} s]", *words, file=sys.stderr, flush=True)


def build(*goals):
    """The load generator, and what else is named, by the Makefile at the top."""
    subprocess.run(["make", "-s", "-C", TOP, "bench", *goals], check=True)


def prepare():
    """One bench at a time on a machine, and as many open files as there may be. The lock lasts as long as the process.

    A signal ends the run as an error would: servers are stopped and the disk is unmounted."""
    for number_of in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_of, lambda n, _frame: sys.exit(128 + n))
    os.makedirs(WORK, exist_ok=True)
    lock = open(os.path.join(WORK, "lock"), "w", encoding="ascii")  # noqa: SIM115  kept open on purpose
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another bench is running here ({lock.name})")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return lock


def number(value):
    """Three digits or so, as a person would round it."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} × {model}, Linux {os.uname().release}"


def pick(report, path):
    """The value at a.b.c in a report, None where there is none."""
    for key in path.split("."):
        report = report.get(key) if isinstance(report, dict) else None
    return report


def mailload(target, command, *args, timeout_s=300):
    """One run of the load generator: its report. What it wrote to stderr is in "said"."""
    argv = [MAILLOAD, command, "--target", target, *map(str, args)]
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return {"cmd": command, "ops": 0, "errors": 1, "said": f"not finished after {timeout_s} s"}
    said = run.stderr.strip()
    try:
        report = json.loads(run.stdout)
    except ValueError:
        report = {"cmd": command, "ops": 0, "errors": 1, "said": f"exit status {run.returncode}"}
    if said:
        report["said"] = "; ".join(said.splitlines())[:600]
    return report


class Server:
    """A server that a script in bench/servers starts and stops."""

    def __init__(self, name, script, port, *options):
        self.name, self.script, self.port, self.options = name, script, port, options
        self.data = os.path.join(WORK, "data")

    @property
    def target(self):
        return os.path.join(self.data, self.name, "target")

    def _run(self, command, *args):
        run = subprocess.run([os.path.join(HERE, "servers", self.script), command, self.name, *args],
                             env={**os.environ, "BARID_BENCH": WORK, "BARID_BENCH_DATA": self.data},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode:
            raise SystemExit(f"bench/servers/{self.script} {command} {self.name}: {run.stdout[-2000:]}")

    def start(self):
        self._run("start", str(self.port), *self.options)

    def stop(self):
        self._run("stop")

    def wipe(self):
        self._run("wipe")

    def fresh(self):
        self.wipe()
        self.start()


class Disk:
    """An ext4 with a journal in a file of its own, mounted for as long as the run lasts."""

    def __init__(self, directory, size):
        self.image = os.path.join(directory, "disk.img")
        self.path = os.path.join(directory, "disk")
        self.size = size

    def __enter__(self):
        if os.path.ismount(self.path):
            raise SystemExit(f"{self.path} is still mounted from an earlier run: umount it first")
        os.makedirs(self.path, exist_ok=True)
        subprocess.run(["truncate", "-s", self.size, self.image], check=True)
        try:
            # everything is laid out now, not by the kernel in the middle of a measurement
            subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "has_journal", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                            self.image], check=True)
            subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)
        except (OSError, subprocess.CalledProcessError):
            os.unlink(self.image)
            raise
        return self

    def __exit__(self, *_):
        for _attempt in range(50):  # the last process of a server may still be going away
            if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.2)
        else:
            say(f"{self.path} could not be unmounted; {self.image} stays")
            return
        os.unlink(self.image)
        os.rmdir(self.path)
