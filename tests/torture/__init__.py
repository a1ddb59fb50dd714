"""What `scripts/torture` does to a store: kills, failing disks, damaged files, random histories. Tests run it short."""
