"""A user's own CSV files, understood and written in the layout of the source `files`; `rotation import` shows what was understood first."""
