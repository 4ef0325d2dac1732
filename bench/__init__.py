"""Measures irc and its peers: rate, distortion, speed of a run, generation loss."""
