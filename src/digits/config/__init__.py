"""What conf/ must fit: a dataclass for each group and each command, with each setting's type and range.

What a setting means, and why it has its default, stands beside it in conf/.
"""
