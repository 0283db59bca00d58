"""Keys of the people who act on the centre's money."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from card_io.keys.signature import generate_signing_key
from clearing.cli.app import AsJson, app, show_or_json, show_text


@app.command()
def person(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="new file for the private key", dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Make a person's signing key: the private half into FILE, the public half for people: in centre.yaml."""
    from clearing.people import write_key

    key = generate_signing_key()
    write_key(file, key)
    public = key.verify_key.to_hex()
    show_or_json({"file": str(file), "key": public}, as_json, lambda: show_text(f"public key: {public}"))
