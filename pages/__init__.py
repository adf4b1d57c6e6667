"""What people look at is drawn with: templates, one style sheet, charts, and the browser's libraries that draw them."""
