"""An evaluation in pictures: figures, a contact sheet, a page."""
