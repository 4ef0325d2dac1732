"""``python -m codec`` is the command ``irc``."""

from codec.tool.cli import entry

entry()
