"""What pictures and films may be: for the commands, the window and project files alike."""

MIN_SIDE, MAX_SIDE = 1, 8192
"""pixels"""
MAX_FRAMES = 100_000
"""of a film"""
MIN_FPS, MAX_FPS = 0.01, 240
"""frames a second; some formats take fewer, see `film.FilmFormat`"""
