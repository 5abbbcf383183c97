"""Programs that make what ``resources/`` ships; none of them runs in the editor."""
