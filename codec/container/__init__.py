"""The .irc file as bytes: chunks, header fields, the grid of tiles, and what is whole of a damaged file."""
