"""Search over any model that obeys the protocol: ids in, ids out."""
