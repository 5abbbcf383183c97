"""Trainings as folders and processes: what they are doing, starting, pausing, stopping."""
