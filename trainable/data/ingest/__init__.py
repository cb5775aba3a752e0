"""From CSV and Parquet files of any common form to a grid of bars by time and symbol."""
