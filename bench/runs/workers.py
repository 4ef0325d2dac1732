"""Codecs in processes that wait to be asked, so that several can be timed in turn."""

import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.peers.codecs import opener
from bench.runs.child import meaning, run_python
from bench.runs.limits import hold
from bench.runs.pool import Failure, describe_error
from codec.metrics.distortion import Image8

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
            return Failure(f"its process died ({meaning(self._process.exitcode or 0)})")
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
    ended = run_python(["-m", "bench.runs.once", *arguments], timeout=timeout)
    if ended.late:
        return Failure(f"took longer than {timeout:g} s")
    if ended.status:
        return Failure(ended.last)
    return Finished(ended.wall if clock == "wall" else ended.processor, int(ended.last))
