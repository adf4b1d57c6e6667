"""The demonstration: real prompts with checkable answers, sent through a running router that learns from thumbs."""
