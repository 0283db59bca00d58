"""Documents people sign: the daily reconciliation report and the participants' statements.

Everything is read from the published projection and ``centre.yaml``; nothing is computed here that moves money.
"""

from clearing.report.daily import write_daily_report
from clearing.report.statements import write_statements
from clearing.report.write import FORMATS, Format, write_reports

__all__ = ["FORMATS", "Format", "write_daily_report", "write_reports", "write_statements"]
