"""A disk whose every write and flush is on record (tests/power/disk.c), and the disks that a power cut could have left.

    with Recorder(folder, "ext4") as disk:      # disk.mount is a new file system
        disk.position()                         # how long the record is now
    log = Log(folder)                           # log.points: where the disk had flushed everything
    Builder(log, folder).make(image)            # path of the disk that image stands for

A disk with a volatile cache keeps what was written before the last flush, and of what came after it anything: each write or not, a large one
in part. An Image is one such outcome. Root, FUSE and loop devices are needed.
"""
import array
import bisect
import collections
import ctypes
import functools
import glob
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import time

import server as lib

TOP = lib.TOP
DISK_BYTES = 640 << 20  # sparse; above what each mkfs calls small
MOUNT_OPTIONS = {"ext4": "rw", "xfs": "nouuid", "btrfs": "rw"}  # two images of one disk are mounted at a time
SECTOR = 512  # what a drive writes whole
# Where the superblock is, which ext4 (while it mounts) and btrfs write in place, with a checksum: torn, no file system mounts, whatever is on it.
SUPERBLOCK = {"ext4": (0, 4096), "xfs": (0, 512), "btrfs": (65536, 69632)}
WRITE, FLUSH, ZERO = range(3)
RECORD = struct.Struct("=IIQQ")
PUNCH = 1 | 2  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE

_libc = ctypes.CDLL(None, use_errno=True)


class Missing(Exception):
    """This machine lacks something."""


def tool(*args):
    """Runs a program; OSError with what it said when it fails."""
    done = subprocess.run([lib.have(args[0]) or args[0], *args[1:]], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(args)}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode().strip()


def need(fs):
    """Missing, when disks cannot be recorded here."""
    if os.geteuid() != 0:
        raise Missing("not root")
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            raise Missing(f"no {path}")
    for program in ("mkfs." + fs, "losetup", "mount", "umount", "pkg-config"):
        if not lib.have(program):
            raise Missing(f"no {program}")
    if subprocess.run(["pkg-config", "--exists", "fuse3"], check=False).returncode:
        raise Missing("no libfuse3")


@functools.cache
def compiled(name, *libraries, shared=False):
    """tests/power/NAME.c as a program or, to be preloaded, as a library."""
    folder = os.path.join(TOP, "build", "power")
    os.makedirs(folder, exist_ok=True)
    out = os.path.join(folder, name + (".so" if shared else ""))
    new = f"{out}.{os.getpid()}"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-O2", *(["-shared", "-fPIC"] if shared else []),
                    "-o", new, os.path.join(TOP, "tests", "power", name + ".c"), *libraries], check=True)
    os.replace(new, out)  # another run may have the old one open
    return out


def copy_sparse(from_path, to_path):
    tool("cp", "--reflink=auto", "--sparse=auto", from_path, to_path)


class Mounted:
    """A file as a loop device, and what is on it mounted."""

    def __init__(self, path, fs, folder, *switches):
        self.folder, self.device, self.fs = folder, None, fs
        os.makedirs(folder, exist_ok=True)
        self.device = tool("losetup", "-f", "--show", *switches, path)
        try:
            tool("mount", "-t", fs, "-o", MOUNT_OPTIONS[fs], self.device, folder)
        except OSError:
            tool("losetup", "-d", self.device)
            raise

    def close(self):
        tool("umount", self.folder)
        if self.fs == "btrfs":  # else it takes the next image of the same disk for this one, moved
            subprocess.run(["btrfs", "device", "scan", "--forget", self.device], capture_output=True, check=False)
        tool("losetup", "-d", self.device)


def end_users(folder):
    """Ends every other process that has a file below folder open: what was started there and could not be told."""
    below = os.path.realpath(folder) + "/"
    for entry in glob.glob("/proc/[0-9]*"):
        pid = int(entry[6:])
        try:
            names = [os.readlink(fd) for fd in glob.glob(entry + "/fd/*")] if pid != os.getpid() else []
            if any(name.startswith(below) for name in names):
                os.kill(pid, signal.SIGKILL)
                while os.path.exists(entry) and names and glob.glob(entry + "/fd/*"):
                    time.sleep(0.001)
        except OSError:
            continue


def tear_down(folder):
    """Unmounts, detaches and removes all that is below folder, whatever state it is in."""
    below = os.path.realpath(folder) + "/"
    end_users(folder)

    def mounts(want_fuse):
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
            found = [line.split()[1:3] for line in f]
        return [path for path, kind in reversed(found) if path.startswith(below) and kind.startswith("fuse") == want_fuse]

    for path in mounts(False):
        if subprocess.run(["umount", path], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "-l", path], capture_output=True, check=False)
    for name in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(name, encoding="utf-8", errors="replace") as f:
                backing = f.read()
        except OSError:
            continue
        if backing.startswith(below):
            subprocess.run([lib.have("losetup"), "-d", "/dev/" + name.split("/")[3]], capture_output=True, check=False)
    for path in mounts(True):
        subprocess.run(["umount", "-l", path], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


class Recorder:
    """A new file system on a recorded disk, or the one that `base` is, which is taken. The record stays in folder: base.img, blocks.log."""

    def __init__(self, folder, fs, base=None, mount=None):
        self.mount = mount or os.path.join(folder, "mnt")
        self.log_path = os.path.join(folder, "blocks.log")
        self.process = self.mounted = self.log_fd = None
        self.served, self.fuse = os.path.join(folder, "served.img"), os.path.join(folder, "fuse")
        first = os.path.join(folder, "base.img")
        if base:
            os.rename(base, first)
        else:
            with open(first, "wb") as f:
                f.truncate(DISK_BYTES)
            tool("mkfs." + fs, *(["-F"] if fs == "ext4" else []), "-q", first)
        copy_sparse(first, self.served)
        program = compiled("disk", *subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], check=True,
                                                   capture_output=True, text=True).stdout.split())
        os.makedirs(self.fuse)
        self.process = subprocess.Popen([program, self.served, self.log_path, self.fuse], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)
        try:
            began = time.monotonic()
            while not os.path.exists(os.path.join(self.fuse, "disk")):
                if self.process.poll() is not None or time.monotonic() - began > 20:
                    self.process.kill()
                    raise Missing("FUSE does not work: " + self.process.communicate()[1].decode("utf-8", "replace").strip())
                time.sleep(0.01)
            self.log_fd = os.open(self.log_path, os.O_RDONLY)
            try:
                self.mounted = Mounted(os.path.join(self.fuse, "disk"), fs, self.mount, "--direct-io=on")
            except OSError as e:
                raise Missing(str(e)) from None
        except BaseException:
            self.close()
            raise

    def position(self):
        return os.fstat(self.log_fd).st_size

    def close(self):
        try:
            if self.mounted:
                self.mounted.close()
        finally:
            if self.process:
                subprocess.run(["umount", self.fuse], capture_output=True, check=False)
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            if self.log_fd is not None:
                os.close(self.log_fd)
            self.mounted = self.process = self.log_fd = None
            os.unlink(self.served)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            end_users(self.mount)
        try:
            self.close()
        except OSError:
            if not kind:  # else something is ending already, and tear_down does the rest
                raise


# A moment at which everything was flushed: so many records and flushes, and where in the log it ends. Flushes with nothing between them are one.
Point = collections.namedtuple("Point", "records flushes end")


class Image(collections.namedtuple("Image", "number point flushes end later")):
    """What a power cut left: all up to a point, and when `later` is a seed some of what was written up to the next one.

    flushes: so many had been answered; what was acknowledged after the last of them, or before, must be there
    end: what began when the log was that long, or longer, cannot be there"""

    __slots__ = ()


class Log:
    """The index of a record; the bytes stay in the file."""

    def __init__(self, folder):
        self.base = os.path.join(folder, "base.img")
        self.file = open(os.path.join(folder, "blocks.log"), "rb")  # noqa: SIM115
        self.bytes = mmap.mmap(self.file.fileno(), 0, prot=mmap.PROT_READ)
        self.records = []  # (kind, offset, len, where its bytes begin)
        self.flush_ends = array.array("Q")
        self.points = []
        at = written = 0
        while at + RECORD.size <= len(self.bytes):
            kind, _, offset, length = RECORD.unpack_from(self.bytes, at)
            at += RECORD.size
            self.records.append((kind, offset, length, at))
            if kind == WRITE:
                at += length
            if kind != FLUSH:
                written += 1
                continue
            self.flush_ends.append(at)
            if not written and self.points:
                self.points.pop()
            self.points.append(Point(len(self.records), len(self.flush_ends), at))
            written = 0

    def close(self):
        self.bytes.close()
        self.file.close()

    def flushes_at(self, position):
        """How many flushes had been answered, at least, when the log was this long."""
        return bisect.bisect_right(self.flush_ends, position)

    def images(self, count, seed, begin=0):
        """`count` images from log position `begin` on, in the order of their points: each point alone, then with later writes."""
        points = [i for i, p in enumerate(self.points) if p.end >= begin]
        if not points:
            return []
        of_each = max(2, -(-count // len(points)))
        windows = -(-count // of_each)
        rng = random.Random(f"{seed}/points")
        out = []
        for n in range(windows):
            window = points[n * len(points) // windows:(n + 1) * len(points) // windows] or points[-1:]
            many = [self.points[i + 1].records - self.points[i].records if i + 1 < len(self.points) else 1 for i in window]
            chosen = [(window[0], None)]
            for i in sorted(rng.choices(window, many, k=of_each - 1)):  # where little was written between, there is little to choose
                chosen.append((i, f"{seed}/{len(out) + len(chosen)}"))
            for i, later in chosen:
                after = self.points[i + 1].end if i + 1 < len(self.points) else len(self.bytes)
                out.append(Image(len(out), i, self.points[i].flushes, after if later else self.points[i].end, later))
        return out[:count]


class Builder:
    """Makes images, fastest in the order of their points."""

    def __init__(self, log, folder, fs):
        self.log, self.superblock = log, SUPERBLOCK[fs]
        self.forward_path = os.path.join(folder, "forward.img")
        self.path = os.path.join(folder, "cut.img")
        copy_sparse(log.base, self.forward_path)
        self.forward = os.open(self.forward_path, os.O_RDWR | os.O_CLOEXEC)
        self.done = 0  # so many records are in the forward image

    def put(self, fd, record, begin=0, end=None):
        kind, offset, length, at = record
        end = length if end is None else end
        if kind == WRITE:
            os.pwrite(fd, self.log.bytes[at + begin:at + end], offset + begin)
        elif kind == ZERO and _libc.fallocate(fd, PUNCH, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")

    def make(self, image):
        """(path, what is on it in words). The path is good until the next call."""
        records = self.log.records
        upto = self.log.points[image.point].records
        if upto < self.done:
            raise ValueError("images go forward")
        for record in records[self.done:upto]:
            self.put(self.forward, record)
        self.done = upto
        copy_sparse(self.forward_path, self.path)
        words = f"flush {image.flushes} of {len(self.log.flush_ends)}"
        if image.later is None:
            return self.path, words
        after = self.log.points[image.point + 1].records if image.point + 1 < len(self.log.points) else len(records)
        pieces = [r for r in records[upto:after] if r[0] != FLUSH]
        rng = random.Random(image.later)
        share = rng.choice((0.5, 0.5, 0.5, 0.15, 0.85))
        taken = [r for r in pieces if rng.random() < share]
        if not taken and pieces:
            taken = [rng.choice(pieces)]
        # all of them would be the next point: then one is torn, as often at random
        torn = rng.randrange(len(taken)) if taken and (len(taken) == len(pieces) or rng.random() < 0.4) else None
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for n, record in enumerate(taken):
                if n == torn and record[0] == WRITE:
                    self.put_some(fd, record, rng)
                else:
                    self.put(fd, record)
        finally:
            os.close(fd)
        return self.path, f"{words} and {len(taken)} of {len(pieces)} later writes" + (", one in part" if torn is not None else "")

    def put_some(self, fd, record, rng):
        """Some sectors of a write: its beginning, its end, or any. All of one that has the superblock in it."""
        if record[1] < self.superblock[1] and record[1] + record[2] > self.superblock[0]:
            self.put(fd, record)
            return
        sectors = range(0, record[2], SECTOR)
        how = rng.choice(("begin", "end", "any"))
        middle = rng.randrange(1, max(2, len(sectors)))
        for n, begin in enumerate(sectors):
            if n < middle if how == "begin" else n >= middle if how == "end" else rng.random() < 0.5:
                self.put(fd, record, begin, min(begin + SECTOR, record[2]))

    def close(self):
        os.close(self.forward)
