"""The policies that are shipped, one file each."""
