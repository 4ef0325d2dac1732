"""Programs that look inside irc: costs, statistics and times of its parts; each is run as a module."""
