"""What joins the document, the runtime and the views."""
