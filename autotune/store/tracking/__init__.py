"""The store in MLflow; nothing else imports mlflow."""
