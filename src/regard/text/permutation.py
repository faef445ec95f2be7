"""A shuffle that is never stored: each element of it is computed when it is needed."""

import numpy as np
from numpy.typing import NDArray

# In theory four suffice if the halves are wide (Luby and Rackoff 1988); the tests check six down to n = 16.
ROUNDS = 6


class Permutation:
    """One of the permutations of 0 .. n - 1, chosen by a key; any part of it can be computed without the rest.

    A Feistel network over the smallest square of a power of two that holds n, repeated until the result is below n
    (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 4). It is the same on every machine and in
    every version of NumPy, since it uses only products and shifts of 64-bit integers.
    """

    def __init__(self, n: int, *key: int) -> None:
        self.n = n
        # The square has at most 4 n places, so that at most four repetitions are expected.
        self.half: np.uint64 = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
        self.mask: np.uint64 = (np.uint64(1) << self.half) - np.uint64(1)
        self.keys = draws(ROUNDS, *key)

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number at each of the places."""
        found = self._once(places.astype(np.uint64))
        while (outside := found >= self.n).any():
            found[outside] = self._once(found[outside])
        return found.astype(np.int64)

    def _once(self, x: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = x >> self.half, x & self.mask
        for key in self.keys:
            left, right = right, left ^ (mixed(right + key) & self.mask)
        return (left << self.half) | right


def draws(n: int, *key: int) -> NDArray[np.uint64]:
    """Return n random 64-bit numbers, which are determined by a key."""
    # Arrays of one number, because NumPy warns when a scalar overflows; here the overflow is wanted.
    state = np.zeros(1, dtype=np.uint64)
    for part in key:
        state = mixed(state + np.array([part % 2**64], dtype=np.uint64))  # parts may be negative or longer than 64 bits
    steps: NDArray[np.uint64] = np.arange(1, n + 1, dtype=np.uint64)
    return mixed(state + steps)


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers of which every bit depends on every bit of x. Steele et al. 2014, figure 16 (SplitMix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
