"""A part of the strange files of tests/strange.py; docs/reliability.md has the outcome of all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_strange_files(tmp_path: Path) -> None:
    script = Path(__file__).parent / "strange.py"
    done = subprocess.run([sys.executable, script, str(tmp_path), "--few"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) files, (\d+) commands, 0 wrong", done.stdout)
    assert found and int(found[1]) > 40 and int(found[2]) > 120
