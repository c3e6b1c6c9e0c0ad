"""Checks what experiment_results() found, by other means than the log's.

Reads a JSON object a line: the events of a data set, how it was asked, and the rows that were found. Who
counts for what is computed anew from the events, and the statistics are those of scipy, statsmodels and
gbstats. Prints how many figures agreed; the first that does not ends it.
"""

import json
import math
import sys
import warnings

import numpy
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from gbstats.utils import check_srm
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

# Ratios of rates that are zero, which nobody asked for.
warnings.simplefilter("ignore")
NEAR = 1e-6
LEAST_P = 0.001
agreed = 0


def check(what, found, wanted, absolute=1e-12):
    """Figures agree to a millionth; `absolute` is for those that the other library has less exactly."""
    global agreed
    if wanted is None or found is None or isinstance(wanted, (str, bool)):
        good = found == wanted
    else:
        good = math.isclose(float(found), float(wanted), rel_tol=NEAR, abs_tol=absolute)
    if not good:
        sys.exit(f"{what}: found {found}, wanted {wanted}")
    agreed += 1


def outcomes(events, within):
    """The values of the actors of each variant, who converted, and how many saw several variants."""
    seen = {}
    for kind, actor, variant, minute, _ in events:
        if kind == "seen" and actor is not None and variant is not None:
            seen.setdefault(actor, []).append((minute, variant))
    of_metric = {}
    for kind, actor, _, minute, amount in events:
        if kind == "bought":
            of_metric.setdefault(actor, []).append((minute, amount))
    variants, several = {}, 0
    for actor, exposures in seen.items():
        if len({variant for _, variant in exposures}) > 1:
            several += 1
            continue
        first, variant = min(exposures)
        end = math.inf if within is None else first + within
        counted = [amount for minute, amount in of_metric.get(actor, []) if first <= minute < end]
        values, converted = variants.setdefault(variant, ([], []))
        values.append(math.fsum(counted))
        converted.append(len(counted) > 0)
    # Those whom only actors saw who saw others too.
    for exposures in seen.values():
        for _, variant in exposures:
            variants.setdefault(variant, ([], []))
    return variants, several


def means(what, row, a, b, confidence):
    a, b = numpy.array(a), numpy.array(b)
    if len(a) < 2 or len(b) < 2 or a.var() == b.var() == 0:
        return [check(f"{what} {key}", row[key], None) for key in ("difference_low", "difference_high", "p_value")]
    test = stats.ttest_ind(b, a, equal_var=False)
    bounds = test.confidence_interval(confidence)
    for key, wanted in [("difference", b.mean() - a.mean()), ("difference_low", bounds.low), ("difference_high", bounds.high), ("p_value", test.pvalue)]:
        check(f"{what} scipy {key}", row[key], wanted)
    compared = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    low, high = compared.tconfint_diff(alpha=1 - confidence, usevar="unequal")
    for key, wanted in [("difference_low", low), ("difference_high", high), ("p_value", compared.ttest_ind(usevar="unequal")[1])]:
        check(f"{what} statsmodels {key}", row[key], wanted)
    if a.mean() == 0:
        return
    of_a, of_b = (SampleMeanStatistic(n=len(x), sum=float(x.sum()), sum_squares=float((x * x).sum())) for x in (a, b))
    config = FrequentistConfig(difference_type="absolute", alpha=1 - confidence)
    result = TwoSidedTTest(of_a, of_b, config).compute_result()
    if result.error_message is not None:
        return
    check(f"{what} gbstats difference", row["difference"], result.expected)
    # Its variance is the difference of two sums, and its p the difference from 1.
    scale = 1e-7 * (abs(result.ci[0]) + abs(result.ci[1]))
    check(f"{what} gbstats difference_low", row["difference_low"], result.ci[0], scale)
    check(f"{what} gbstats difference_high", row["difference_high"], result.ci[1], scale)
    check(f"{what} gbstats p_value", row["p_value"], result.p_value, 1e-9)


def rates(what, row, a, b, confidence):
    (x, n), (y, m) = (sum(a), len(a)), (sum(b), len(b))
    if n == 0 or m == 0 or x in (0, n) and y in (0, m):
        return [check(f"{what} {key}", row[key], None) for key in ("difference_low", "difference_high", "p_value")]
    low, high = confint_proportions_2indep(y, m, x, n, method="wald", compare="diff", alpha=1 - confidence)
    test = test_proportions_2indep(y, m, x, n, method="wald", compare="diff")
    for key, wanted in [("difference", y / m - x / n), ("difference_low", low), ("difference_high", high), ("p_value", test.pvalue)]:
        check(f"{what} statsmodels {key}", row[key], wanted)
    half = (float(row["difference_high"]) - float(row["difference_low"])) / 2
    error = math.hypot(*(numpy.std(values) / math.sqrt(len(values)) for values in (a, b)))
    check(f"{what} scipy width", half, stats.norm.ppf(1 - (1 - confidence) / 2) * error)
    if x == 0:
        return
    # Its interval is one of t; difference and error are the same.
    result = TwoSidedTTest(ProportionStatistic(n=n, sum=x), ProportionStatistic(n=m, sum=y), FrequentistConfig(difference_type="absolute")).compute_result()
    # It gives up where one of the two does not vary.
    if result.error_message is not None:
        return
    check(f"{what} gbstats difference", row["difference"], result.expected)
    check(f"{what} gbstats error", half / stats.norm.ppf(1 - (1 - confidence) / 2), float(result.uplift.stddev))


def verdict(row, mismatch, smaller, expected, is_mean, min_actors):
    if mismatch is not None and mismatch < LEAST_P:
        return None, "split mismatch"
    if smaller < min_actors:
        return None, "too few actors"
    if not is_mean and min(expected, smaller - expected) < 10:
        return None, "too few conversions"
    if row["difference_low"] is None:
        return None, "no variance"
    if float(row["difference_low"]) > 0:
        return "better", None
    return ("worse" if float(row["difference_high"]) < 0 else "undecided"), None


def judge_figures(number, figures, found):
    """The functions behind the report, for as many actors as no test logs events of."""
    n, mean, deviations, m, other, of_other, confidence = figures
    error = math.sqrt(deviations / (n - 1) / n + of_other / (m - 1) / m)
    test = stats.ttest_ind_from_stats(other, math.sqrt(of_other / (m - 1)), m, mean, math.sqrt(deviations / (n - 1)), n, equal_var=False)
    freedom = error**4 / ((deviations / (n - 1) / n) ** 2 / (n - 1) + (of_other / (m - 1) / m) ** 2 / (m - 1))
    width = stats.t.ppf(1 - (1 - confidence) / 2, freedom) * error
    for wanted, figure in zip((other - mean, other - mean - width, other - mean + width, test.pvalue), found):
        check(f"figures {number}", figure, wanted)


def judge(number, line):
    if "figures" in line:
        return judge_figures(number, line["figures"], line["found"])
    asked, found = line["asked"], {row["variant"]: row for row in line["found"]}
    variants, several = outcomes(line["events"], asked["within"])
    ratios = asked["ratios"] or {name: 1 for name in variants}
    for name in ratios:
        variants.setdefault(name, ([], []))
    names = sorted(variants)
    check(f"{number} variants", ",".join(sorted(found)), ",".join(names))
    users = [len(variants[name][0]) for name in names]
    mismatch = None
    if sum(users) > 0 and len(names) > 1:
        wanted = numpy.array([ratios[name] for name in names], dtype=float)
        mismatch = stats.chisquare(users, wanted / wanted.sum() * sum(users)).pvalue
        check(f"{number} gbstats mismatch", found[names[0]]["mismatch_p"], check_srm(users, list(wanted)))
    control = "control" if "control" in names else names[0]
    for name in names:
        row, (values, converted) = found[name], variants[name]
        what = f"set {number}, variant {name},"
        check(f"{what} mismatch", row["mismatch_p"], mismatch)
        check(f"{what} several", row["multi_exposed"], several)
        check(f"{what} actors", row["actors"], len(values))
        check(f"{what} converted", row["converted"], sum(converted))
        check(f"{what} control", row["is_control"], name == control)
        if asked["is_mean"]:
            check(f"{what} total", row["total"], math.fsum(values), 1e-6)
        if name == control:
            check(f"{what} verdict", row["verdict"], None)
            continue
        of_control = variants[control]
        if asked["is_mean"]:
            means(what, row, of_control[0], values, asked["confidence"])
        else:
            rates(what, row, of_control[1], converted, asked["confidence"])
        smaller, both = min(len(values), len(of_control[0])), len(values) + len(of_control[0])
        expected = smaller * (sum(converted) + sum(of_control[1])) / both if both else 0
        given, reason = verdict(row, mismatch, smaller, expected, asked["is_mean"], asked["min_actors"])
        check(f"{what} verdict", row["verdict"], given)
        check(f"{what} no_verdict", row["no_verdict"], reason)
    return mismatch is not None and bool(mismatch < LEAST_P)


lines = [json.loads(line) for line in sys.stdin]
broken = sum(judge(number, line) is True for number, line in enumerate(lines))
print(f"{len(lines)} questions, {broken} with a broken split, {agreed} figures agree")
