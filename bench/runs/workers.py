"""Codecs in processes that wait to be asked, so that several can be timed in turn."""

import os
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import bench
from bench.metrics.distortion import Image8
from bench.peers.codecs import opener
from bench.runs.limits import hold
from bench.runs.pool import Failure, describe_error

__all__ = ["CLOCKS", "Finished", "Worker", "run_process"]

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""Seconds as they pass, or those that a process spent on processors, all its threads together."""


class Worker:
    """A codec in a process of its own that keeps one picture and its file; `clock` is one of `CLOCKS`."""

    def __init__(self, codec: str, threads: int, memory: int, clock: str = "wall") -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, opener(codec), threads, memory, clock)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, what: str, argument: Any = None, timeout: float | None = None) -> Any:
        """Return the reply; a `Failure` if the codec raised, died, or took longer than `timeout` seconds.

        The timeout is of the wall's clock. After a failure of time or life the worker is gone.
        """
        try:
            self._connection.send((what, argument))
            if self._connection.poll(timeout):
                return self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return Failure(f"its process died ({_meaning(self._process.exitcode or 0)})")
        self.close()
        return Failure(f"took longer than {timeout:g} s")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, opener: Any, threads: int, memory: int, clock: str) -> None:
    """Answer: open -> version, settings; image; encode setting -> seconds, bytes counted; decode -> seconds."""
    codec: Any = None
    now = CLOCKS[clock]
    image: Image8 | None = None
    data = b""
    while True:
        try:
            what, argument = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        reply: Any = None
        try:
            if what == "open":
                hold(threads, memory)
                codec = opener()
                reply = codec.version, codec.settings
            elif what == "image":
                image = argument
            else:
                start = now()
                if what == "encode":
                    data = codec.encode(image, argument)
                    reply = now() - start, codec.rate_bytes(data)
                else:
                    codec.decode(data)
                    reply = now() - start
        except KeyboardInterrupt:
            return
        except BaseException as error:  # a panic of a codec written in Rust is no Exception
            reply = Failure(describe_error(error))
        connection.send(reply)


class Finished(NamedTuple):
    """A whole process: seconds by the clock, and its largest resident memory in bytes."""

    seconds: float
    peak: int


def run_process(arguments: list[str], timeout: float, clock: str = "wall") -> Finished | Failure:
    """Run `python -m bench.runs.once` with arguments, and return its time and what it says of its memory.

    It fails beyond `timeout` seconds of the wall's clock, whatever clock it is timed by.
    """
    environment = dict(os.environ)
    # the same packages, wherever this process found them
    root = str(Path(bench.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.runs.once", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout, stop)
    timer.start()
    try:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
    seconds = time.perf_counter() - start if clock == "wall" else usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if late.is_set():
        return Failure(f"took longer than {timeout:g} s")
    last = said.strip().splitlines()[-1] if said.strip() else _meaning(process.returncode)
    return Failure(last) if process.returncode else Finished(seconds, int(last))


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
