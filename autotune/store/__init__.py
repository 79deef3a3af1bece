"""What is kept: journals, the columnar cache, MLflow."""
