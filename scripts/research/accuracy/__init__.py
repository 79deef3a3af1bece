"""The accuracy pages' figures: made part by part, kept in one file, written into the pages."""
