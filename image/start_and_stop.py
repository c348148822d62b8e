"""Start the server, wait until it is ready, and stop it. image/check runs this in a container of its image."""

import signal
import socket
import subprocess
import sys

_SECONDS = 60

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = str(probe.getsockname()[1])
# Local mode, which needs neither a GitLab nor a database.
with subprocess.Popen(["mltrail-server", "serve", "--port", port]) as server:
    url = f"http://127.0.0.1:{port}/readyz"
    ready = subprocess.run(["mltrail-server", "ready", "--url", url, "--wait", str(_SECONDS)], check=False)
    server.send_signal(signal.SIGTERM)
    code = server.wait(_SECONDS)
sys.exit(ready.returncode or code)
