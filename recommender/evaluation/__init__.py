"""Backtests of the decision rule that is shipped."""
