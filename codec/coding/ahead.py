"""Items made ahead by threads, so that whoever takes them one after the other need not wait.

>>> with Workers(2) as workers:
...     [items for items in Ahead(lambda n: n * n, [[1, 2], [2, 3]], workers)]
[{1: 1, 2: 4}, {2: 4, 3: 9}]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

from codec.network import host

MOST = 4  #: threads that make items, since each takes 200 MB with a tile of 1024
T = TypeVar("T")


def default_workers() -> int:
    """As many threads as torch uses, but no more than 4."""
    return min(MOST, host.allowed_threads())


class Workers(AbstractContextManager["Workers"]):
    """Up to `count` threads (None: `default_workers()`), which start with the first walk that has use for them.

    At the end of the `with` block they have ended, and torch runs on as many threads as before; beyond the caller's
    thread nothing of that is seen.
    """

    def __init__(self, count: int | None = None):
        self.count = default_workers() if count is None else count
        self._pool: ThreadPoolExecutor | None = None
        self._at_the_end = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._at_the_end.close()
        self._pool = None

    def pool(self, items: int) -> ThreadPoolExecutor | None:
        """The threads, where there are several and several items for them; otherwise None."""
        count = min(self.count, items)
        if count < 2:
            return None
        if self._pool is None:
            # torch's threads are shared out among the workers: each with all of them would be slower than one alone
            pool = ThreadPoolExecutor(count, initializer=host.set_own_threads, initargs=(host.threads_of_each(count),))
            # whoever takes the items works beside them
            self._at_the_end.enter_context(host.torch_threads(host.threads_of_each(2)))
            self._at_the_end.callback(pool.shutdown, wait=True, cancel_futures=True)
            self._pool = pool
        return self._pool


class Ahead(Generic[T]):
    """Walks over steps that need numbered items, makes each item once and drops it after its last use.

    With several workers, threads make the items that come next, a bounded number of them at a time.
    """

    def __init__(self, make: Callable[[int], T], steps: Sequence[Sequence[int]], workers: Workers):
        self.make, self.steps, self.workers = make, steps, workers
        self.order = list(dict.fromkeys(itertools.chain.from_iterable(steps)))
        self.last = {item: n for n, need in enumerate(steps) for item in need}

    def __iter__(self) -> Iterator[dict[int, T]]:
        pool = self.workers.pool(len(self.order))
        if pool is None:
            yield from self._walk(self.make)
            return
        make = host.plainly(self.make)  # a thread of its own has its own settings
        futures: dict[int, Future[T]] = {}
        left = iter(self.order)

        def take(item: int) -> T:
            while item not in futures or len(futures) < 2 * self.workers.count:
                following = next(left, None)
                if following is None:
                    break
                futures[following] = pool.submit(make, following)
            return futures.pop(item).result()

        try:
            yield from self._walk(take)
        finally:
            for future in futures.values():
                future.cancel()

    def _walk(self, take: Callable[[int], T]) -> Iterator[dict[int, T]]:
        held: dict[int, T] = {}
        for n, need in enumerate(self.steps):
            for item in need:
                if item not in held:
                    held[item] = take(item)
            yield {item: held[item] for item in need}
            for item in [item for item in held if self.last[item] == n]:
                del held[item]
