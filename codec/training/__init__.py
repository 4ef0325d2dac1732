"""Training: nothing here is needed to use what it made."""
