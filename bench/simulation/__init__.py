"""Invented worlds whose truth is known: what tolerances, intervals and crossovers make of them."""
