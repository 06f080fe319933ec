"""The machine: its mounts and disks, which system it is, and another one's root."""
