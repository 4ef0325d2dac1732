"""The probability model and the entropy coder: integers to bytes and back, knowing nothing of pictures."""
