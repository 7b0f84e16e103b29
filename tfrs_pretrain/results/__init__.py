"""Results of a finished study: ``results.json``, ``report.html`` and ``report.md``, which show the same numbers.

``results.json``, format 4. Lists are in the order of the study unless stated otherwise; null means undefined:

::

    format, title, name, code_version, baseline, seeds, notes, commands, seconds, peak_rss_bytes
    machines        machines that trained the runs, with the number of artifacts of each; empty if the manifests are
                    older than this entry
    headline        arm of the report's headline: the exported one, or the best on validation
    shown           arms that the figures show first, chosen on validation
    test_impressions, test_positives   number of test impressions that all runs scored, and of those with label 1
    config          resolved configuration that all arms share
    exposures       how impressions were derived; null for logged impressions
    data            one entry per distinct dataset: arms, counts, splits, vocabularies, and differs: its configuration
                    where it differs from the study's
    arms            name -> settings, trials, failures, seeds; kind, transfer, remedies, teacher; test, validation:
                    metric -> mean, by_seed, sd (over seeds), users (interval by user); slices; coverage; runs with
                    the validation curve of each; test_auc, test_log_loss, test_gauc repeat the means
    comparisons     arm, against, seeds; metric -> value (mean over seeds), by_seed, users and seeds (intervals),
                    verdict, p_users, p_seeds, p (the larger of both), p_corrected (by Holm, within the comparison's
                    family), holds (the verdict is better or worse also after correction); slices: AUC differences
                    without p, p_corrected and holds
    benefit         the two-stage arm and the arm from scratch with the lowest validation log loss: outcome (pays, does
                    not pay, loses, not measurable), differences on validation, the likeliest reason if it does not pay,
                    and line, the sentence about it; null unless the study has both
    resampling      how users were drawn; rule: definition of the verdicts
    multiplicity    number of pairs and differences, sizes of the corrected families, and expected_by_chance: number of
                    intervals by user that would exclude 0 if no arms differed
    power           metric -> deviation (over seeds, of all comparisons), detectable: number of seeds -> difference that
                    is found with 80 % probability; null without two seeds
    stage_one       heldout_loss by epoch and heldout_loss_before_training of the first setting; settings
    calibration     arm -> bins of equal size over all seeds: score (mean), rate, count
    embedding_map   first two principal components of item rows, with neighbour purity; null if no item feature has a
                    suitable number of values
    diagnosis       content of diagnosis.json, and advice in sentences; null if the folder contains none
    exported        manifest of the exported version; null if nothing was exported
"""
