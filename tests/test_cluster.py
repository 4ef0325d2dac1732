"""Batches on a Dask cluster: a real scheduler and workers, and an S3 server, all on this computer."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from object_store import s3_bucket  # noqa: F401  (fixture)
from PIL import Image
from test_shards import contents, shard

from codec.batch import Encoder, cluster
from codec.batch.jobs import Job, Report, Task
from codec.batch.places import Places
from codec.errors import IrcError, UsageError
from codec.tool import cli

pytest.importorskip("distributed")
ROOT = str(Path(__file__).parent.parent)
places = Places()


class Processes(NamedTuple):
    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def dask(bucket: str, tmp_path: Path) -> Iterator[Processes]:
    """A scheduler and two workers of one thread each, which know the bucket."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", "OMP_NUM_THREADS": "1"}
    where = tmp_path / "scheduler.json"

    def started(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *arguments, "--scheduler-file", str(where), "--no-dashboard"]
        with open(tmp_path / "log.txt", "ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    processes = [started("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        for _ in range(2):
            options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
            processes.append(started("distributed.cli.dask_worker", *options))
        while not where.exists():
            assert processes[0].poll() is None, (tmp_path / "log.txt").read_text()
            time.sleep(0.05)
        yield Processes(json.loads(where.read_text())["address"], processes[1:])
    finally:
        for process in processes:
            process.kill()
            process.wait()


def photo(number: int) -> bytes:
    """A small picture, another one for each number."""
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), (20 * number, 90, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def busy(runner: cluster.Cluster, processes: Processes) -> subprocess.Popen[bytes]:
    """A worker that is in the middle of a job."""
    working = {worker for worker, tasks in runner.client.processing().items() if tasks}
    ids = runner.client.run(os.getpid)
    return next(one for one in processes.workers if any(ids[worker] == one.pid for worker in working))


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_worker_is_killed(
    bucket: str, dask: Processes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six shards of three photos; one of two workers is killed in the middle: every file is there once and whole."""
    for number in range(6):
        names = [(f"{number}{n}.png", photo(number)) for n in range(3)]
        shard("shard.tar", [*names, (f"{number}0.json", b"{}")])
        places.put(f"{bucket}/photos/{number}.tar", Path("shard.tar").read_bytes(), False, None)
    killed: list[subprocess.Popen[bytes]] = []
    run = cluster.Cluster.run

    def interfered(self: cluster.Cluster, task: Task, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Report]]]:
        for result in run(self, task, jobs):
            if not killed:
                killed.append(busy(self, dask))
                killed[0].kill()
            yield result

    monkeypatch.setattr(cluster.Cluster, "run", interfered)
    common = ["--scheduler", dask.address, "--json"]
    command = ["encode", f"{bucket}/photos", "--out-dir", f"{bucket}/coded", "-q", "60", *common]
    assert cli.main(command) == 0
    assert killed[0].wait() == -signal.SIGKILL
    done = rows(capsys.readouterr().out)
    expected = sorted(f"{bucket}/photos/{number}.tar/{number}{n}.png" for number in range(6) for n in range(3))
    assert sorted(row["input"] for row in done) == expected
    assert [one.path for one in places.listed(bucket, True)] == [
        f"{folder}/{number}.tar" for folder in ("coded", "photos") for number in range(6)
    ]
    encoder = Encoder(quality=60)
    for number in range(6):
        Path("back.tar").write_bytes(places.open(f"{bucket}/coded/{number}.tar").read())
        coded = encoder(photo(number))
        assert contents("back.tar") == [*((f"{number}{n}.irc", coded) for n in range(3)), (f"{number}0.json", b"{}")]

    # again: a shard is what is skipped; and what the other worker, which is alive, says of it
    assert cli.main([*command, "--skip-existing"]) == 0
    assert [row["skipped"] for row in rows(capsys.readouterr().out)] == [True] * 6
    assert cli.main(["verify", f"{bucket}/coded", *common]) == 0
    checked = sorted(row["file"] for row in rows(capsys.readouterr().out))
    assert len(checked) == 18 and checked[-1] == f"{bucket}/coded/5.tar/52.irc"
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.9")
    assert cli.main(["verify", f"{bucket}/coded", *common]) == 1
    assert re.search(r"^irc: the worker at tcp://\S+ has irc-codec \S+, this computer 0.0.9$", capsys.readouterr().err)


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    with pytest.raises(IrcError, match="^no scheduler answers at tcp://127.0.0.1:1 within 1 s$"):
        cluster.Cluster("tcp://127.0.0.1:1")
    for address in ("", "127.0.0.1", "http://127.0.0.1:8786"):
        with pytest.raises(UsageError, match="is not the address of a scheduler"):
            cluster.Cluster(address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        IrcError, match=r"package distributed, which is not installed: pip install 'irc-codec\[cluster\]'"
    ):
        cluster.Cluster("tcp://127.0.0.1:1")
