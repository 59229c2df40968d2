"""Where a process's small arrays lie: by chance, so that it is noise and no difference between styles."""

from __future__ import annotations

from random import SystemRandom

PADS, LEAST_PAD, MOST_PAD = 16, 1024, 16_384  # bytes: above Python's own small objects, below a mapping of its own


def scatter() -> list[bytearray]:
    """Blocks of random sizes on the heap, so that what is allocated after them lies elsewhere in every process.

    Where small arrays lie decides how they meet in the caches.
    The system shuffles pages, but not where on a page a block of the heap begins; that depends on the length of a
    style's name. A difference that is the same in every process of a case would pass for its speed; a random one
    is noise, which the interval knows (Mytkowicz et al., ASPLOS 2009; Curtsinger and Berger, ASPLOS 2013).
    """
    random = SystemRandom()
    return [bytearray(random.randrange(LEAST_PAD, MOST_PAD, 16)) for _ in range(PADS)]
