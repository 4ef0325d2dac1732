"""A picture through container and network: tiles, windows, all of a picture, and what searches or mends one."""
