"""What production does to learning, one file each."""
