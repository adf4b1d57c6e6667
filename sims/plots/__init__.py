"""What a report shows, one file each: a case (a table and a world) in, a chart's data out."""
