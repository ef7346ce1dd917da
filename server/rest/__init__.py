"""The REST endpoints, one module per part of the house. The modules do not import each other."""
