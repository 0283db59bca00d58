"""Files in the forms of JT/T 978.4 for participants whose agreement says `interchange: jtt978` (docs/jtt978.md).

After a run FB to the senders of the files and CL to the issuers of the cards; at close LD, CR and BP to everybody.
All of them follow from journal entries, segments and vault alone: a lost one is written again, byte for byte.
"""

from __future__ import annotations

from clearing.interchange.after_run import write_after_run
from clearing.interchange.at_close import write_at_close

__all__ = ["write_after_run", "write_at_close"]
