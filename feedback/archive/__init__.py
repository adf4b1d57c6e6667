"""The log as Parquet files: export, manifest, rows and schema."""
