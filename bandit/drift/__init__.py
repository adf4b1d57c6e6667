"""What makes old feedback count less: forgetting, change detection, discounts of arms that changed."""
