"""Measures of predictions, by name; the classification report."""

from jnn.metrics.by_name import (
    METRICS as METRICS,
    check_metric as check_metric,
    is_score as is_score,
    name_of as name_of,
    resolve as resolve,
)
from jnn.metrics.classification import (
    Averages as Averages,
    ClassificationReport as ClassificationReport,
    classification_report as classification_report,
)
