"""Keys and what is done with them: store, check values, key blocks, components, sealed files, signatures.

The only home of the `cryptography` package in `card_io`; DES comes from `card_io.mac`.
Nothing in here prints, logs or raises a secret: `repr` and error texts carry identifiers and check values.
"""
