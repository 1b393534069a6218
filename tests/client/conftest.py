"""Servers that a client is tried on: ours, and Debian's Dovecot where it is installed."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.lib.server import Server  # noqa: E402


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s
