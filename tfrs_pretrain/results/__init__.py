"""The evidence of a finished study: ``results.json``, ``report.html`` and ``report.md``, all with the same numbers.

``results.json``, format 4 (lists are in the order of the study unless said otherwise; null stands for undefined):

::

    format, title, name, code_version, baseline, seeds, notes, commands, seconds, peak_rss_bytes
    machines        where runs were trained, by their manifests; empty for those of before these said so
    headline        arm that the headline is about, chosen on validation (or the exported one)
    shown           arms that figures show first, chosen likewise
    test_impressions, test_positives   that all runs scored
    config          resolved, what all arms share; exposures says how impressions were derived, if they were
    data            each distinct dataset: arms, counts, splits, vocabularies, what differs from the configuration
    arms            name -> settings, trials, failures, seeds; kind, transfer, teacher; test, validation: metric ->
                    mean, by_seed, sd (over seeds), users (interval by user); slices; curve of each run;
                    test_auc, test_log_loss, test_gauc are the means again
    comparisons     arm, against, seeds; metric -> value (mean over seeds), by_seed, users and seeds (intervals),
                    verdict, p_users, p_seeds; the same for AUC by slice; for the whole also p (the larger), p_corrected
                    (for the comparisons of its family), holds (the verdict better or worse survives that)
    resampling      how users were drawn; rule: what a verdict means
    multiplicity    how many differences were judged, sizes of the families that are corrected, and how many intervals
                    would leave out 0 by chance
    stage_one       heldout_loss by epoch and heldout_loss_before_training of the first setting; settings
    calibration     arm -> bins of equal mass over all seeds: score (mean), rate, count
    embedding_map   PCA of item rows, with neighbour purity; null where no item feature can colour it
    diagnosis       content of diagnosis.json, with advice in sentences; null where none lies in the folder
    exported        manifest of the exported version; null where none was
"""
