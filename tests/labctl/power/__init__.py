"""Tests of labctl.power."""
