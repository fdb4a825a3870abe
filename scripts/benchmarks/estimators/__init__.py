"""The group `estimators`: jnn.sklearn against scikit-learn, by seconds and by held-out losses."""
