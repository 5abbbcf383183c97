"""The trainer's commands, one module each: its arguments, and what it does with them."""
