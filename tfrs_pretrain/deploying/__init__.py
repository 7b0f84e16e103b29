"""Files for schedulers, generated from a deployment. Each runs ``tfrs-pretrain retrain``, as one or step by step."""
