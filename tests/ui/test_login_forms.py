"""Forms of strangers at the sign-in: they fill no disk, and hold up nobody."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.services.context.deps import Deps
from tests.team import EXTERNAL_URL


def test_strangers_fill_no_disk_with_forms(browser: FlaskClient) -> None:
    huge = {"csrf_token": "x", "file": (io.BytesIO(b"x" * 100_000), "name")}
    answer = browser.post("/-/sign-in", data=huge, base_url=EXTERNAL_URL)
    assert answer.status_code == 413


class Slow(io.RawIOBase):
    """A body that does not come before `gate` is opened; `begun` counts who waits for it."""

    def __init__(self, gate: threading.Event, begun: threading.Semaphore) -> None:
        self.gate, self.begun = gate, begun

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        self.begun.release()
        self.gate.wait(300)
        return 0


def test_slow_forms_of_strangers_leave_threads_for_others(login_deps: Deps) -> None:
    app = create_app(login_deps)
    gate, begun = threading.Event(), threading.Semaphore(0)
    form = {"content_type": "application/x-www-form-urlencoded", "base_url": EXTERNAL_URL}

    def send_slowly(_: int) -> int:
        environ = {"wsgi.input": Slow(gate, begun), "CONTENT_LENGTH": "60000"}
        return app.test_client().post("/-/sign-in", environ_overrides=environ, **form).status_code

    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(send_slowly, number) for number in range(4)]
        try:
            for _ in slow:
                assert begun.acquire(timeout=300)
            refused = app.test_client().post("/-/sign-in", data={"token": "t"}, base_url=EXTERNAL_URL)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        finally:
            gate.set()
    assert app.test_client().post("/-/sign-in", data={"token": "t"}, base_url=EXTERNAL_URL).status_code == 403
