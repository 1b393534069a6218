"""COMPRESS=DEFLATE (RFC 4978) before a server that does not have it.

    with Deflating(port) as proxy:          # proxy.port; counts: proxy.asked, proxy.packed, proxy.plain (bytes down, on the wire and of them)

answer: what is said to COMPRESS, with {tag}. pack: a function that makes bytes for the client of bytes of the server, after the OK.
"""
import contextlib
import re
import socket
import threading
import zlib


class Deflating:
    def __init__(self, port, answer=b"{tag} OK DEFLATE active\r\n", pack=None, offered=True):
        self.target, self.answer, self.pack, self.offered = port, answer, pack, offered
        self.asked = self.packed = self.plain = 0
        self.heard = b""  # of the client, as it came
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = {"on": False}
            threading.Thread(target=self._pump, args=(self._up, client, server, session), daemon=True).start()
            threading.Thread(target=self._pump, args=(self._down, server, client, session), daemon=True).start()

    @staticmethod
    def _pump(work, source, sink, session):
        with contextlib.suppress(OSError, zlib.error):
            work(source, sink, session)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _up(self, client, server, session):
        unpack = zlib.decompressobj(-15)
        while data := client.recv(65536):
            self.heard += data
            if session["on"]:
                server.sendall(unpack.decompress(data))
                continue
            if not data.endswith(b" COMPRESS DEFLATE\r\n"):
                server.sendall(data)
                continue
            before, _, line = data[:-2].rpartition(b"\r\n")
            server.sendall(before + b"\r\n" if before else b"")
            self.asked += 1
            session["on"] = b" OK" in self.answer  # nothing is on its way down: it waits for nothing but this
            client.sendall(self.answer.replace(b"{tag}", line.partition(b" ")[0]))

    def _down(self, server, client, session):
        pack = zlib.compressobj(6, zlib.DEFLATED, -15)
        while data := server.recv(65536):
            if not session["on"]:
                if self.offered:
                    data = re.sub(rb"(CAPABILITY IMAP4rev1)", rb"\1 COMPRESS=DEFLATE", data)
                client.sendall(data)
                continue
            out = self.pack(data) if self.pack else pack.compress(data) + pack.flush(zlib.Z_SYNC_FLUSH)
            self.plain += len(data)
            self.packed += len(out)
            client.sendall(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
