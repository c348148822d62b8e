"""A bad wire between two network devices: python -m tests.machines.wire ONE OTHER MILLISECONDS LOSS

The kernel has this (`tc qdisc add … netem`) where its module is there, which no program can make sure of.
"""

import queue
import random
import socket
import sys
import threading
import time

_ALL_PROTOCOLS = 3
_OUTGOING = 4
"""https://man7.org/linux/man-pages/man7/packet.7.html"""
_LONGEST = 65_536


def opened(device: str) -> socket.socket:
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    one.bind((device, 0))
    return one


def carry(source: socket.socket, target: socket.socket, seconds: float, loss: float) -> None:
    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def deliver() -> None:
        while True:
            due, frame = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                target.send(frame)
            except OSError:  # the device has no room: lost, too
                continue

    threading.Thread(target=deliver, daemon=True).start()
    while True:
        frame, address = source.recvfrom(_LONGEST)
        if address[2] != _OUTGOING and random.random() >= loss:
            waiting.put((time.monotonic() + seconds, frame))


def main(one: str, other: str, milliseconds: str, loss: str) -> None:
    ends = opened(one), opened(other)
    seconds, part = int(milliseconds) / 1000, float(loss)
    threading.Thread(target=carry, args=(*ends, seconds, part), daemon=True).start()
    carry(*reversed(ends), seconds, part)


if __name__ == "__main__":
    main(*sys.argv[1:])
