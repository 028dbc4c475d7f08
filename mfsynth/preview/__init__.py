"""Pictures and numbers of a data set for people: contact sheet, page, statistics."""
