"""Offline: trains an oracle beside a frozen classifier, measures both, exports the pair as one bundle."""
