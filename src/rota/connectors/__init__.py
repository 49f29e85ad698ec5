"""How hosts are reached: a package for each kind."""
