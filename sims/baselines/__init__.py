"""What a policy is compared with, one file each."""
