"""Sellers for unknown markets: references that know the customers, and sellers that learn who they are."""
