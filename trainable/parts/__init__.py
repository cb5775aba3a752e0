"""Parts of a person's own: files whose tables add models, losses, features … to ours.

files.py           a file as text: read, checked without running it, known by its hash
modules.py         its text, run as a module
tables.py          the six tables, and what an entry of each is
entries.py         from what the person wrote to an entry: a class, a function, or the entry itself
configurations.py  configuration classes, completed with the fields that every entry has
loaded.py          which files are in our tables now
registration.py    the entries in our tables, for as long as a `with` block lasts
sources.py         the source of classes and functions given in Python, as from a notebook
faults.py          an exception of a part, in one line
first_step.py      one step with each part before a search starts
texts.py           the text of one class or function, and what was set on it since
listing.py         every part with its settings, for `python -m trainable.parts`
conformance/       what every part must do, as checks for ours and a person's
"""
