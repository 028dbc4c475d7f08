"""Where pictures and masks come from: COCO folders and archives, and the drawn demo split."""
