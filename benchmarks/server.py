"""A server process on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Server:
    """A server process, from its first connection on."""

    def __init__(self, *command: str, port: int) -> None:
        self.command, self.port = [sys.executable, "-m", *command], port
        self.start()
        while not self._listens():
            if self.process.poll() is not None:
                raise SystemExit(f"The server ended with status {self.process.returncode}: {' '.join(self.command)}")
            time.sleep(0.05)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGINT)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    def cpu_seconds(self) -> float:
        """CPU time of the process so far."""
        after_name = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def _listens(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
