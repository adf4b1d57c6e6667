"""Readers of the formats that tables come in, one file each."""
