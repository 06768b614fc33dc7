"""Signals and expectations of the user's own: SQL files in the home folder, read after the project's."""
