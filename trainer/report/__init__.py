"""What can be asked of a finished avatar, as numbers and one page."""
