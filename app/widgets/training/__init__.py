"""Training: the dialog that starts one and the window that watches them."""
