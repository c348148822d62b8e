# ruff: noqa: INP001 - a script of its own
"""Send standard input to a URL and print the answer: `python ask.py URL`."""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], data=sys.stdin.buffer.read(), timeout=300) as answer:
    sys.stdout.write(answer.read().decode())
