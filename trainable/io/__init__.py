"""Reading and writing files: JSON, Parquet, checksums, whole-or-not-at-all writes, file stores."""
