"""Tests of labctl.place."""
