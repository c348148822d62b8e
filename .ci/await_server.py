# ruff: noqa: INP001 - a script of its own
"""Wait until a URL answers 200, for half a minute at most: `python await_server.py URL`."""

import sys
import time
import urllib.error
import urllib.request

url = sys.argv[1]
for _ in range(60):
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
            sys.exit(0)
    except (urllib.error.URLError, OSError):
        time.sleep(0.5)
sys.exit(f"{url} did not answer within half a minute")
