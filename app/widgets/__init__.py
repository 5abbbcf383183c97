"""Views: setters in, signals out."""
