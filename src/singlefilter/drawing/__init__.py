"""The figures: tables and matrices -> matplotlib figures, a module for each subject."""
