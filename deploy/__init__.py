"""How hotspare gets onto a machine; nothing here is imported by the node."""
