"""Networks for multi-focus fusion, and the zoo of pretrained ones."""
