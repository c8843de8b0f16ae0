//! Disks that are full, and disks that are read-only.
