"""The independent auditor: docs/clearing-rules.md once more, row by row in plain Python.

It shares no code with the engine: neither ``clearing``, ``tariffs`` nor ``card_io`` is imported here. Its inputs
are the centre folder as data, copies of the delivered files and the plain keys of the simulator's truth.
"""

from auditor.model import AuditResult, Row
from auditor.story import audit, audit_days, audit_deliveries, audit_rows

__all__ = ["AuditResult", "Row", "audit", "audit_days", "audit_deliveries", "audit_rows"]
