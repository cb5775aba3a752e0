"""From CSV and Parquet files to a grid of bars by time and symbol."""
