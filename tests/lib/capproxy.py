"""A proxy before an IMAP server on loopback that can take capabilities away, delay, and cut.

    with Proxy(port, without={"QRESYNC", "MOVE"}) as p:  p.port
    with Proxy(port, cut_after=1234) as p:               both directions end after that many bytes to the client
    with Proxy(port, cut_up_at=b"APPEND") as p:          both end before the client's bytes that these words are in
    with Proxy(port, delay=0.025) as p:                  each way, so that a round trip takes 50 ms
    with Proxy(port, alter=f) as p:                      what the server says goes through f, a chunk each
"""
import contextlib
import re
import socket
import threading
import time


class Proxy:
    def __init__(self, port, without=(), cut_after=None, cut_up_after=None, cut_up_at=None, delay=0, alter=None):
        self.target = port
        self.without = {w.upper() for w in without}
        self.cut_after, self.cut_up_after, self.delay = cut_after, cut_up_after, delay
        self.cut_up_at, self.alter = cut_up_at, alter
        self.passed = self.passed_up = 0
        self.turns = 0  # times the client spoke after the server had
        self._last = None
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _strip(self, data):
        def fix(match):
            words = match.group(2).split(b" ")
            kept = [w for w in words if w.decode().upper() not in self.without]
            return match.group(1) + b" ".join(kept)
        return re.sub(rb"(CAPABILITY )([^\]\r\n]*)", fix, data)

    def _pump(self, source, sink, up):
        queue, ready = [], threading.Condition()

        def send():
            while True:
                with ready:
                    while not queue:
                        ready.wait()
                    due, data = queue.pop(0)
                wait = due - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                try:
                    if data is None:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
                except OSError:
                    return
        if self.delay:
            threading.Thread(target=send, daemon=True).start()
        cut = self.cut_up_after if up else self.cut_after
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if data and not up and self.without:
                data = self._strip(data)
            if data and not up and self.alter:
                data = self.alter(data)
            ended = False
            with self._lock:
                if data and up and self._last is not True:
                    self.turns += 1
                if data:
                    self._last = up
                done = self.passed_up if up else self.passed
                if cut is not None and data and done + len(data) >= cut:
                    data, ended = data[:cut - done], True
                if up and self.cut_up_at and self.cut_up_at in data:
                    data, ended = b"", True
                if up:
                    self.passed_up += len(data)
                else:
                    self.passed += len(data)
            try:
                if self.delay:
                    with ready:
                        queue.append((time.monotonic() + self.delay, data or None))
                        ready.notify()
                elif data:
                    sink.sendall(data)
                else:
                    sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if ended:
                for s in (source, sink):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                return
            if not data:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # a thread that waits in accept must not come back to the descriptor when it belongs to the next listener
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
