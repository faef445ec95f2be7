"""Corpora that need no download: English and German sentences made from CLDR data and templates of our own."""

from regard.samples.corpus import DemoCorpus, demo_corpus

__all__ = ["DemoCorpus", "demo_corpus"]
