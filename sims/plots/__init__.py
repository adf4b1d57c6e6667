"""The report's pictures, one file each: a case (a table and a world) in, an SVG with its description out."""
