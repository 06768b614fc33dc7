"""Vendor adapters, one package per vendor."""
