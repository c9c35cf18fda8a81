"""The annotator: a server for one person's browser, and the page it shows."""
