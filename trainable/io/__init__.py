"""Reads and writes files: JSON, Parquet, check sums, atomic writes, file stores."""
