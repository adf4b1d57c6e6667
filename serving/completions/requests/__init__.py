"""What a request asks for: its body, its options, its tags."""
