"""What conf/ must fit: a dataclass for each group and each command, with each setting's type, range and meaning."""
