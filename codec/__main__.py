"""``python -m codec`` is the command ``irc``."""

from codec.cli import main

raise SystemExit(main())
