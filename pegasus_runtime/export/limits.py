"""What pictures and films may be: for the commands, the window and project files alike."""

MIN_SIDE, MAX_SIDE = 1, 8192
"""pixels; more than most encoders and viewers take"""
MAX_FRAMES = 100_000
"""of a film: more is a typing error, and fills a disk"""
MIN_FPS, MAX_FPS = 0.01, 240
"""frames a second; some formats take fewer, see `film.FilmFormat`"""
