"""Fitting the surrogate; nothing else imports xgboost."""
