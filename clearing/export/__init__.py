"""The ledger for other systems: plain-text accounting, TIDES, accounting data, open data (docs/exports.md).

Every format is written from the published projection alone; nothing here decides, and no card number leaves.
"""

from clearing.export.write import FORMATS, Format, export_centre

__all__ = ["FORMATS", "Format", "export_centre"]
