"""The whole story: text -> ids -> batch -> model -> ids -> text, and the attention between the two.

A `Translator` serves models that were trained on pairs, a `TextGenerator` those that were trained on running text. Both
only read their model, so several of them live in one process, and answer from several threads.
"""

from regard.pipeline.generator import TextGenerator
from regard.pipeline.loading import changed, device_of
from regard.pipeline.translator import Translation, Translator

__all__ = ["TextGenerator", "Translation", "Translator", "changed", "device_of"]
