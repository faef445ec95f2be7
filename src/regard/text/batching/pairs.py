"""Batches of pairs of sentences."""

from regard.errors import DataError
from regard.text.batching.stream import BatchStream
from regard.text.encoded.pairs import EncodedPairs


def pair_stream(pairs: EncodedPairs, *, batch_tokens: int, seed: int) -> BatchStream:
    """Return the batches of pairs. Raises DataError if all of them were left out as too long."""
    if not len(pairs):
        raise DataError(
            f"All {pairs.n_dropped:,} pairs have more than {pairs.max_tokens} tokens on a side, so none is left. "
            "Raise data.max_tokens, or put one sentence on each line."
        )
    return BatchStream(pairs.in_epoch, batch_tokens=batch_tokens, seed=seed)
