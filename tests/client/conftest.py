"""barid as a client, against the real server, Dovecot, and servers that lie."""
import os
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import client  # noqa: E402
import server as lib  # noqa: E402


@pytest.fixture
def home():
    with client.Home() as h:
        yield h


@pytest.fixture(scope="session")
def barid():
    """One server for all; each test takes a user of its own."""
    with lib.Server() as s:
        yield s


@pytest.fixture(scope="session")
def cert():
    with tempfile.TemporaryDirectory(prefix="barid-cert-") as folder:
        yield client.certificate(folder)


@pytest.fixture(scope="session")
def shim():
    if client.asan():
        pytest.skip("a preloaded library and a sanitizer do not go together")
    with tempfile.TemporaryDirectory(prefix="barid-shim-") as folder:
        yield client.Shim(folder)


@pytest.fixture
def server(barid):
    return barid
