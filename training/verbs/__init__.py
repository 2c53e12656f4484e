"""The verbs of `python -m training`, one module each: `add(verbs)` gives a verb its arguments and its help."""
