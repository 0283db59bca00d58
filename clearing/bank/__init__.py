"""What banks answer: read (``iso20022``, ``statements``), matched with the book (``match``), sealed (``take``).

A bank file never decides by itself: only a booked line of one of our accounts that names an ordered payment, with its
amount and its payee, settles it (docs/clearing-rules.md §13).
"""
