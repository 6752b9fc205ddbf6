from .advice import Advice as Advice, advise as advise
from .advice.tip import Tip as Tip
from .benchmark_chart import benchmark_with_chart as benchmark_with_chart
from .comparison import Comparison as Comparison, Difference as Difference, Kind as Kind, compare as compare
from .comparison.gallery import compare_with_images as compare_with_images
from .conventions import one_based_option as one_based_option
from .report import Report as Report, evaluate_with_report as evaluate_with_report
from .report.page import number as number
from .report.runs import Compared as Compared, compare_with_report as compare_with_report, models_in as models_in
from .statistics import USUAL_ANCHORS as USUAL_ANCHORS, Statistics as Statistics
from .statistics.histograms import (
    Bin as Bin,
    HistogramRow as HistogramRow,
    counts as counts,
    histogram_rows as histogram_rows,
)
from .statistics.page import statistics_page as statistics_page
from .training_runs import RunsCompared as RunsCompared, compare_runs as compare_runs
from .validation import ValidationReport as ValidationReport, validate as validate
from .validation.boxes import box_problems as box_problems
from .validation.checks import Check as Check, Problem as Problem
from .validation.page import PROBLEMS_ON_A_PAGE as PROBLEMS_ON_A_PAGE, validation_page as validation_page
from .view import view as view
