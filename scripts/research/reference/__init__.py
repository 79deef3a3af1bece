"""The reference runs: landscapes, ledger, proofs, plots."""
