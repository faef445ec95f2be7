"""Strings in, numbers out. Knows no model and no tokenizer of ours."""
