"""Strings and ids: reading, normalising, tokenizing, batching. Knows no layer and no model."""
