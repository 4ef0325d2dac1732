"""A runner on a Dask cluster: jobs are its futures, done by the workers of a scheduler wherever they are.

A worker has irc-codec in the same version, and sees inputs and outputs by the same names: URLs, or folders that all
computers share. Pictures never pass through this process: jobs go out, reports come back.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from importlib import metadata
from typing import Any

from codec.batch.jobs import Job, Report, Runner, Task
from codec.batch.places import is_url, missing
from codec.errors import IrcError, UsageError, exit_code, explained
from codec.network import registry

TIMEOUT = 15  #: seconds in which a scheduler answers
JOINING = 60  #: seconds in which its first worker has come
AHEAD = 2  #: jobs that are done or wait, for each thread of the cluster
LOOK = 5.0  #: seconds after which it is looked how many threads there are: clusters grow and shrink


def identity() -> dict[str, str]:
    """What must be the same on all computers, since files would differ or jobs could not be read."""
    try:
        version = metadata.version("irc-codec")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    python = "{}.{}".format(*sys.version_info[:2])
    return {"Python": python, "irc-codec": version, "weights": registry.default()}


class Cluster(Runner):
    """The workers of the scheduler at an address such as tcp://10.0.0.1:8786.

    IrcError where no scheduler answers, no worker comes or one has another version; UsageError where the address is
    none. To be closed, as by a with block.
    """

    def __init__(self, address: str):
        try:
            import distributed
        except ImportError:
            raise missing("a cluster needs the package distributed") from None
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what goes wrong is said here, in one line
        self.address = address
        try:
            self.client: Any = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
        except ValueError as error:
            raise UsageError(f"{address!r} is not the address of a scheduler: {error}") from None
        except (OSError, TimeoutError):
            raise IrcError(f"no scheduler answers at {address} within {TIMEOUT} s") from None
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; jobs that it still has are dropped."""
        self.client.close()

    def _check(self) -> None:
        """Wait for a worker, and compare the versions of all."""
        try:
            self.client.wait_for_workers(1, timeout=JOINING)
        except TimeoutError:
            raise IrcError(f"the scheduler at {self.address} has got no worker within {JOINING} s") from None
        own = identity()
        # exec first: a worker that has no irc-codec would not understand a question for `identity`, nor say so
        for question in ((exec, f"import {__name__}"), (identity,)):
            for worker, found in self.client.run(*question, on_error="return").items():
                if isinstance(found, Exception):
                    raise IrcError(f"irc-codec does not start on the worker at {worker}: {found}")
                for name, value in (found or own).items():
                    if value != own[name]:
                        raise IrcError(f"the worker at {worker} has {name} {value}, this computer {own[name]}")

    def run(self, task: Task, jobs: Iterable[Job]) -> Generator[tuple[Job, list[Report]], None, None]:
        """As `Runner.run` says; a job whose worker is lost goes to another one, as often as the scheduler allows."""
        import distributed

        left = iter(jobs)
        done = distributed.as_completed(loop=self.client.loop)
        running: dict[Any, Job] = {}
        room, looked = 0, -LOOK
        try:
            while True:
                if time.monotonic() - looked > LOOK:
                    threads = sum(self.client.nthreads().values())
                    room, looked = AHEAD * max(threads, 1), time.monotonic()
                while len(running) < room and (job := next(left, None)) is not None:
                    future = self.client.submit(task, _everywhere(job), pure=False)
                    running[future.key] = job
                    done.add(future)
                if not running:
                    return
                future = next(done)
                job = running.pop(future.key)
                yield job, self._reports(job, future)
        finally:
            if running:
                self.client.cancel(list(done.futures), force=True)

    def _reports(self, job: Job, future: Any) -> list[Report]:
        """What came back of a job that is done."""
        if future.status == "finished":
            return future.result()  # type: ignore[no-any-return]
        if future.status == "cancelled":
            raise IrcError(f"the scheduler at {self.address} is gone")
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            code, text = exit_code("failure"), "the workers that did it died, perhaps for want of memory"
        else:
            code, text = explained(error)
        return [Report(job.source, job.target, error=text, code=code)]


def _everywhere(job: Job) -> Job:
    """The job with names that are the same in any folder."""
    return replace(job, source=_absolute(job.source), target=job.target and _absolute(job.target))


def _absolute(name: str) -> str:
    return name if is_url(name) else os.path.abspath(name)
