"""The whole path: text -> ids -> batch -> model -> ids -> text, and the attention between the two.

A `Translator` is for models that were trained on pairs, a `TextGenerator` for those that were trained on running text.
Both only read their model, so one process can hold several of them, and use them from several threads.
"""

from regard.pipeline.generator import TextGenerator
from regard.pipeline.loading import changed, device_of
from regard.pipeline.translator import Translation, Translator

__all__ = ["TextGenerator", "Translation", "Translator", "changed", "device_of"]
