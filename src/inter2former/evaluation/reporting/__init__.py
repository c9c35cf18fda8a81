"""What the pages about runs are made of: tables, charts, pictures, and the page around them."""
