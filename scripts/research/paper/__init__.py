"""The paper's tables, made again from its replication files."""
