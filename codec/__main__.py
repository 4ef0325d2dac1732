"""``python -m codec`` is the command ``irc``."""

from codec.cli import entry

entry()
