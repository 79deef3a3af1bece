"""Documents, charts, tables, the ledger."""
