"""What a router computes with, and what it may take: engines, money, sizes, times."""
