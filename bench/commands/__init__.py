"""The subcommands of ``irc-bench``, one a module: `add` declares its options, `run` does it and returns the status."""
