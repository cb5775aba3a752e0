"""Reads and writes files: JSON, Parquet, check sums, whole-or-not-at-all writes, file stores."""
