"""Where the key store's passphrase comes from: a file, an inherited descriptor or the keyboard."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from card_io.keys.errors import KeyStoreError


def passphrase_from(
    *, file: Path | None = None, descriptor: int | None = None, prompt: str = "Key store passphrase: "
) -> str:
    """Return the passphrase from `file`, else from the open `descriptor` (closed afterwards), else typed.

    The line break at the end of a file or descriptor does not count. Raises `KeyStoreError` when there is
    none: an unreadable or empty source, or no terminal to ask on.
    """
    if file is not None:
        try:
            passphrase = _without_line_break(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise KeyStoreError(
                f"the passphrase file {file} cannot be read ({type(error).__name__})", "check path and rights"
            ) from None
    elif descriptor is not None:
        try:
            with os.fdopen(descriptor, encoding="utf-8") as stream:
                passphrase = _without_line_break(stream.read())
        except (OSError, UnicodeDecodeError) as error:
            raise KeyStoreError(
                f"no passphrase on descriptor {descriptor} ({type(error).__name__})",
                "let the parent process open and pass it on",
            ) from None
    elif sys.stdin.isatty():
        passphrase = getpass.getpass(prompt)
    else:
        raise KeyStoreError(
            "there is no terminal to ask for the passphrase", "give --passphrase-file or a descriptor"
        )
    if not passphrase:
        raise KeyStoreError("the passphrase is empty", "put it on the first line of the source")
    return passphrase


def _without_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
