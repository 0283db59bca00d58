"""Reconciliation: checks that return the bad rows, open items with owner and age, the trust horizon (DESIGN §9)."""

from clearing.reconcile.checks import CHECKS, Check, CheckResult, run_checks
from clearing.reconcile.policy import Reconciliation

__all__ = ["CHECKS", "Check", "CheckResult", "Reconciliation", "run_checks"]
