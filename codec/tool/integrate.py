"""`irc integrate`: the file type, thumbnails, man page and completion, for the user who runs it.

A desktop of freedesktop.org (GNOME, KDE, Xfce, ...) looks for these files under ``$XDG_DATA_HOME``, which is
``~/.local/share``: a MIME type by the Shared MIME-info specification, a thumbnailer as GNOME's and Xfce's file managers
read them. Manuals and completions lie where ``man``, bash-completion, fish and, with one line of its own, zsh look.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from codec import atomic
from codec.batch import local
from codec.container.signature import MAGIC, MIME_TYPE
from codec.errors import IrcError
from codec.tool import manual
from codec.tool.options import PROGRAM
from codec.tool.output import Status, shown

#: by shell, where its completion lies below the folder of the user's data
COMPLETIONS = {
    "bash": "bash-completion/completions/irc",
    "zsh": "zsh/site-functions/_irc",
    "fish": "fish/vendor_completions.d/irc.fish",
}
MANUAL = "man/man1/irc.1"
MIME_PACKAGE = "mime/packages/irc-codec.xml"
THUMBNAILER = "thumbnailers/irc-codec.thumbnailer"
#: names that options and arguments give to files
FILES = ("IN", "OUT", "FILE", "PICTURE", "ID|FILE")


def data_home() -> Path:
    """The folder of the user's data, by the XDG Base Directory specification."""
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"


def program() -> list[str]:
    """The words that start this irc again, from any folder."""
    found = shutil.which(sys.argv[0])
    if found and os.path.basename(found) == PROGRAM:
        return [os.path.abspath(found)]
    return [sys.executable, "-m", "codec"]


def mime_package() -> str:
    """The MIME type with its suffix and its first bytes, in the XML of shared-mime-info."""
    magic = "".join(f"\\x{byte:02x}" for byte in MAGIC)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME_TYPE}">
    <comment>irc image</comment>
    <magic priority="80"><match type="string" value="{magic}" offset="0"/></magic>
    <glob pattern="*.irc"/>
  </mime-type>
</mime-info>
"""


def thumbnailer() -> str:
    """The entry of a thumbnailer: %i is the file, %o the PNG to write, %s the most pixels a side."""
    words = [word.replace("%", "%%") for word in program()]
    line = shlex.join([*words, "thumbnail", "--fit"]) + " %s %i %o"
    return f"[Thumbnailer Entry]\nTryExec={words[0]}\nExec={line}\nMimeType={MIME_TYPE};\n"


def completion(parser: ArgumentParser, shell: str) -> str:
    """The completion script of a shell, made from the parser by shtab."""
    import shtab

    parsers = [parser]
    for each in parsers:  # which grows by the commands' own
        for action in each._actions:
            if isinstance(action.choices, dict):
                parsers += action.choices.values()
            elif (action.metavar or action.dest) in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return str(shtab.complete(parser, shell=shell))


def texts(parser: ArgumentParser) -> dict[str, str]:
    """What is installed: text by place below the folder of the user's data."""
    found = {MANUAL: manual.man_page() + "\n"}
    found |= {place: completion(parser, shell) for shell, place in COMPLETIONS.items()}
    if sys.platform != "darwin":  # whose file types come with applications
        found |= {MIME_PACKAGE: mime_package(), THUMBNAILER: thumbnailer()}
    return found


def integrate(args: Namespace, status: Status, parser: ArgumentParser) -> None:
    """Install or remove what a desktop and shells know of irc."""
    if sys.platform == "win32":
        raise IrcError("nothing to integrate on Windows; open .irc files with the commands, or by Python")
    home = data_home()
    for place, text in texts(parser).items():
        path = home / place
        status.file = str(path)
        try:
            if not args.remove:
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic.write(path, text.encode())
            elif path.exists():
                path.unlink()
            else:
                continue
        except OSError as error:
            raise IrcError(f"cannot be {'removed' if args.remove else 'written'}: {local.reason(error)}") from None
        status.confirm(f"{shown(str(path))}: {'removed' if args.remove else 'installed'}")
    status.file = str(home)
    if sys.platform != "darwin":
        _update_mime_database(home / "mime", status)
    if not args.remove:
        folder = (home / COMPLETIONS["zsh"]).parent
        status.note(f"zsh completes once {shown(str(folder))} is in fpath, before compinit in ~/.zshrc")


def _update_mime_database(folder: Path, status: Status) -> None:
    tool = shutil.which("update-mime-database")
    if tool is None:
        status.note("update-mime-database, of shared-mime-info, is not here; once it has run, the file type is known")
    elif folder.is_dir():
        done = subprocess.run([tool, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise IrcError(f"update-mime-database failed: {done.stderr or done.returncode}")
