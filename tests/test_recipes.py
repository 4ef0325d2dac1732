"""The scripts and the Dockerfile of examples/: run where what they need is installed (.ci/extra), read elsewhere."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import codec

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize(("package", "script"), [("ray", "ray_encode.py"), ("pyspark", "spark_encode.py")])
def test_photos_on_other_clusters(package: str, script: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number, name in enumerate(("1.png", "sub/2.jpg", "sub/3.png")):
        Image.new("RGB", (48, 32), (60 * number, 90, 30)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture, only text")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [sys.executable, str(EXAMPLES / script), str(tmp_path / "in"), str(tmp_path / "out"), "60"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1:] == ["4 files, 1 failed"], done.stderr
    assert re.search(r"in/bad\.jpg: not an image", done.stderr)
    out = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [str(path.relative_to(tmp_path / "out")) for path in out] == ["1.irc", "sub/2.irc", "sub/3.irc"]
    for path in out:
        codec.verify(path.read_bytes())
        assert codec.info(path.read_bytes())["quality"] == 60


@pytest.mark.parametrize("script", ["ray_encode.py", "spark_encode.py"])
def test_scripts_are_python(script: str) -> None:
    compile((EXAMPLES / script).read_text(), script, "exec")


def test_dockerfile() -> None:
    """Instructions that there are, shell that parses, the torch of README, an extra of setup.cfg."""
    text = re.sub(r"^#.*\n", "", (EXAMPLES / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    assert lines[0][0] == "FROM" and lines[-1][0] == "CMD"
    assert {word for word, _ in lines} <= {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "CMD"}
    installed: list[str] = []
    for word, rest in lines:
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
            installed += [part for part in shlex.split(rest) if "torch==" in part or part.endswith("]")]
    assert installed[0] in (ROOT / "README.md").read_text()
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extra = re.fullmatch(r"/src\[(\w+)\]", installed[1])
    assert extra and extra[1] in setup["options.extras_require"]
