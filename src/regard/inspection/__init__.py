"""Look at attention: capture it, gather it by words, show it as a page, a picture or JSON. No tokenizer, no search."""
