"""The group `cross_validation`: `jnn.cross_validate` against scikit-learn's `GridSearchCV`."""
