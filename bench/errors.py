"""What can go wrong in a benchmark, each with a message meant for its user."""

__all__ = ["BenchError", "CodecMissing", "NotComparable"]


class BenchError(Exception):
    """A mistake in what was asked for, or in the files it was asked of."""


class CodecMissing(BenchError):
    """A codec that this installation cannot run."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} is missing: {why}")
        self.name = name
        self.why = why


class NotComparable(BenchError, ValueError):
    """Two curves that have no BD-rate."""
