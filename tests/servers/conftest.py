"""What other environments' Pythons run is none of this one's tests."""

collect_ignore_glob = ["*.py"]
