"""What the user has chosen: plain objects that tell others when they change. No Qt, no GL."""
