"""What an evaluation's scores look like: figures, a contact sheet, a page."""
