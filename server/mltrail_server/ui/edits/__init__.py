"""Changes that people make on pages: a form, one service call, and a page that says what was done.

Each form carries the session's own token (`ui.session`), and each route declares that it writes. A file has what can be
done to one kind of thing; `forms` is what they share.
"""
