"""What an evaluation's scores look like: ranks and their tests, figures, a contact sheet, a page."""
