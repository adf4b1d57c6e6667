"""`make reference`: docs/reference/, written from what the code says of itself."""
