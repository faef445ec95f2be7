"""Search over any model that follows the protocol: ids in, ids out."""
