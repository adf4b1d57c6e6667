"""What confidential things look like, a family a file: functions from a text to detections, in linear time."""
